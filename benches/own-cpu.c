/* Measures one command for benches/compare: its wall time, and the processor time of that process alone.
 *
 * Usage: own-cpu RECORD FROM TO COMMAND [ARGUMENT...]. Adds one line to the file RECORD:
 *   wall-seconds user-seconds system-seconds peak-KiB percent others-percent
 * `time` and wait4 add up a process and all children that it has waited for, which for a program that starts 10,000
 * of them is mostly the children. So the command is left a zombie at its end (WNOWAIT) while its own times are read
 * from /proc; only then is it reaped. The peak of resident memory is the largest of the command and its children;
 * that of a child which shares the command's memory up to its exec is never more, so with small workers it is the
 * command's own. `percent` is its processor time between second FROM and second TO, of one core; 0 for FROM = TO.
 * `others-percent` is what neither the command nor a child that it waited for used, of all cores: how far the machine
 * was not quiet (the kernel's own threads count as others). Exits as the command does. Linux only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void die(const char *what)
{
    perror(what);
    exit(125);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now))
        die("clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_for(double length)
{
    struct timespec rest = {(time_t)length, (long)((length - (double)(time_t)length) * 1e9)};
    while (nanosleep(&rest, &rest) && errno == EINTR)
        ;
}

/* Processor time of the whole machine so far: all but idle and waiting for a disk, from the first line of /proc/stat. */
static double busy_seconds(void)
{
    unsigned long long user, nice, system, idle, waiting, irq, softirq, stolen;
    FILE *stat = fopen("/proc/stat", "re");

    if (!stat || fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &waiting, &irq,
                        &softirq, &stolen) != 8)
        die("/proc/stat");
    fclose(stat);
    return (double)(user + nice + system + irq + softirq + stolen) / (double)sysconf(_SC_CLK_TCK);
}

static double in_seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Fields 14 and 15 of /proc/PID/stat, counted from behind the name, which may hold blanks and parentheses. */
static void own_times(pid_t pid, double *user, double *system)
{
    char path[64], text[1024], *after;
    unsigned long long user_ticks, system_ticks;
    ssize_t length;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if ((fd = open(path, O_RDONLY)) < 0 || (length = read(fd, text, sizeof text - 1)) < 0)
        die(path);
    close(fd);
    text[length] = '\0';
    after = strrchr(text, ')');
    if (!after || sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user_ticks, &system_ticks) != 2)
        die("the form of /proc/PID/stat");
    *user = (double)user_ticks / (double)sysconf(_SC_CLK_TCK);
    *system = (double)system_ticks / (double)sysconf(_SC_CLK_TCK);
}

int main(int argc, char **argv)
{
    double from, to, begun, ended, busy, others, used = 0, user, system;
    struct rusage usage;
    siginfo_t end;
    FILE *record;
    pid_t pid;
    int status;

    if (argc < 5) {
        fputs("usage: own-cpu RECORD FROM TO COMMAND [ARGUMENT...]\n", stderr);
        return 125;
    }
    from = atof(argv[2]);
    to = atof(argv[3]);
    if (!(record = fopen(argv[1], "ae")))
        die(argv[1]);
    busy = busy_seconds();
    begun = seconds(CLOCK_MONOTONIC);
    if ((errno = posix_spawnp(&pid, argv[4], NULL, NULL, argv + 4, environ)))
        die(argv[4]);
    if (to > from) {
        clockid_t clock;
        if ((errno = clock_getcpuclockid(pid, &clock)))
            die("clock_getcpuclockid");
        sleep_for(from);
        used = seconds(clock);
        sleep_for(to - from);
        used = seconds(clock) - used;
    }
    while (waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT))
        if (errno != EINTR)
            die("waitid");
    ended = seconds(CLOCK_MONOTONIC);
    own_times(pid, &user, &system);
    if (wait4(pid, &status, 0, &usage) != pid)
        die("wait4");
    others = busy_seconds() - busy - in_seconds(usage.ru_utime) - in_seconds(usage.ru_stime);
    fprintf(record, "%.3f %.2f %.2f %ld %.3f %.1f\n", ended - begun, user, system, usage.ru_maxrss,
            to > from ? 100 * used / (to - from) : 0.0,
            others > 0 ? 100 * others / (ended - begun) / (double)sysconf(_SC_NPROCESSORS_ONLN) : 0.0);
    if (fclose(record))
        die(argv[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
