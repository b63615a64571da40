/* The worker of benches/compare: reads all of its standard input, then prints one line of JSON.
 * With `--sleep SECONDS` it sleeps in between; other arguments (the row, where xargs gives it) mean nothing to it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const char answer[] = "{\"ok\":true}\n";
    char buffer[4096];
    ssize_t length;

    while ((length = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
        ;
    if (length < 0)
        return 1;
    if (argc == 3 && strcmp(argv[1], "--sleep") == 0)
        sleep((unsigned)atoi(argv[2]));
    length = (ssize_t)(sizeof answer - 1);
    return write(STDOUT_FILENO, answer, sizeof answer - 1) == length ? 0 : 1;
}
