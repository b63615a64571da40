/* The yardstick of benches/compare: how fast a careful C program runs one process per row and keeps what it printed.
 *
 * Usage: posix-spawn-loop N ROWS OUT PROGRAM. Each line of ROWS is given to a process of its own on standard input by
 * a pipe; its standard output comes back by a pipe, whole and in one piece, into OUT. Never more than N at once. One
 * thread: poll over the outputs; the end of an output means that its process is ending, and then it is waited for.
 *
 * It deliberately does nothing else that a batch executor needs: no prompt, no environment, no process groups,
 * time limits or standard error, no check of what comes back, nothing that survives a crash. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OUTPUT_BYTES_MAX = 64 * 1024 };

struct slot {
    pid_t pid;
    size_t length;
    char *output;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Starts PROGRAM on one row; gives the read end of its output. */
static int start(char *program, const char *row, size_t length, pid_t *pid)
{
    char *arguments[] = {program, NULL};
    posix_spawn_file_actions_t actions;
    int in[2], out[2], error;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        die("pipe");
    /* The row is in the pipe, and the pipe is closed, before its reader exists: it never waits for its input. */
    if (length > PIPE_BUF || write(in[1], row, length) != (ssize_t)length)
        die("a row that does not fit into a pipe");
    close(in[1]);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    error = posix_spawn(pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        errno = error;
        die(program);
    }
    close(in[0]);
    close(out[1]);
    return out[0];
}

/* Reads what is there; at the end of the output, reaps the process. Returns whether the slot is free again. */
static int take(struct slot *slot, int fd, FILE *results, long *failed)
{
    ssize_t length = read(fd, slot->output + slot->length, OUTPUT_BYTES_MAX - slot->length);
    int status;

    if (length < 0)
        die("read");
    slot->length += (size_t)length;
    if (length > 0 && slot->length < OUTPUT_BYTES_MAX)
        return 0;
    close(fd);
    if (waitpid(slot->pid, &status, 0) < 0)
        die("waitpid");
    if (status != 0 || slot->length == OUTPUT_BYTES_MAX)
        ++*failed;
    fwrite(slot->output, 1, slot->length, results);
    return 1;
}

int main(int argc, char **argv)
{
    long failed = 0;
    nfds_t running = 0, wanted = argc == 5 ? (nfds_t)atoi(argv[1]) : 0;
    struct pollfd *fds = calloc(wanted + 1, sizeof *fds);
    struct slot *slots = calloc(wanted + 1, sizeof *slots);
    FILE *rows, *results;
    char *row = NULL;
    size_t room = 0;
    ssize_t length = 0;

    if (wanted < 1 || !fds || !slots) {
        fputs("usage: posix-spawn-loop N ROWS OUT PROGRAM\n", stderr);
        return 2;
    }
    for (nfds_t i = 0; i < wanted; i++)
        if (!(slots[i].output = malloc(OUTPUT_BYTES_MAX)))
            die("malloc");
    if (!(rows = fopen(argv[2], "re")) || !(results = fopen(argv[3], "we")))
        die("fopen");
    for (;;) {
        while (running < wanted && (length = getline(&row, &room, rows)) > 0) {
            fds[running].fd = start(argv[4], row, (size_t)length, &slots[running].pid);
            fds[running].events = POLLIN;
            slots[running].length = 0;
            running++;
        }
        if (running == 0)
            break;
        if (poll(fds, running, -1) < 0 && errno != EINTR)
            die("poll");
        /* From the end, so that the last slot can take the place of a free one. */
        for (nfds_t i = running; i-- > 0;) {
            if (fds[i].revents && take(&slots[i], fds[i].fd, results, &failed)) {
                struct slot free_slot = slots[i];
                running--;
                fds[i] = fds[running];
                slots[i] = slots[running];
                slots[running] = free_slot;
            }
        }
    }
    if (!feof(rows) || fclose(results))
        die("rows or results");
    if (failed)
        fprintf(stderr, "%ld rows failed\n", failed);
    return failed > 0;
}
