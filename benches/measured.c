/* Runs a command with all its streams on /dev/null and prints what it took: seconds of wall time, seconds of CPU with
 * every child it waited for, bytes of its largest resident set. A process is accounted for from before its exec, so a
 * starter as large as Python's would hide how small a program is.
 *
 *     measured COMMAND [ARGUMENT …]        ends with the command's exit code */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    posix_spawn_file_actions_t actions;
    struct rusage usage;
    pid_t pid;
    int status;
    if (count < 2) return 2;
    posix_spawn_file_actions_init(&actions);
    for (int stream = 0; stream < 3; stream++)
        posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
    double begun = now();
    if (posix_spawnp(&pid, arguments[1], &actions, NULL, arguments + 1, environ)) return perror(arguments[1]), 127;
    if (wait4(pid, &status, 0, &usage) != pid) return perror("wait4"), 127;
    double wall = now() - begun;
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("%.6f %.6f %ld\n", wall, cpu, usage.ru_maxrss * 1024);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
