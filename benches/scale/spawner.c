/* The least a check of a server on standard streams can cost: WORKERS threads that start SERVER, exchange the two
 * messages that lab-probe exchanges, close its input and wait for its end, COUNT times in all.
 *
 *     spawner COUNT WORKERS SERVER        prints seconds: wall, own CPU, CPU of the servers */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define META                                                                                                           \
    "\"_meta\":{\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":"            \
    "{\"name\":\"lab-probe\",\"version\":\"0.1.0\"},\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}"

static const char DISCOVER[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}\n";
static const char LIST[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{" META "}}\n";
static atomic_int left;
static char *server;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void ask(int to, int from, const char *question, size_t length) {
    char text[4096];
    size_t held = 0;
    if (write(to, question, length) != (ssize_t)length) die("write");
    while (!held || text[held - 1] != '\n') {
        ssize_t got = read(from, text + held, sizeof text - held);
        if (got <= 0) die("read");
        held += (size_t)got;
    }
    if (!memmem(text, held, "\"result\"", 8)) die("no result");
}

static void check(void) {
    int in[2], out[2], err[2], status;
    char *arguments[] = {server, NULL}, *environment[] = {"PATH=/usr/bin:/bin", NULL}, rest[512];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) die("pipe2");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    if (posix_spawn(&pid, server, &actions, NULL, arguments, environment)) die("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]), close(out[1]), close(err[1]);
    ask(in[1], out[0], DISCOVER, sizeof DISCOVER - 1);
    ask(in[1], out[0], LIST, sizeof LIST - 1);
    close(in[1]);
    while (read(out[0], rest, sizeof rest) > 0) {}
    while (read(err[0], rest, sizeof rest) > 0) {}
    close(out[0]), close(err[0]);
    if (waitpid(pid, &status, 0) != pid || status) die("waitpid");
}

static void *work(void *unused) {
    while (atomic_fetch_sub(&left, 1) > 0) check();
    return unused;
}

static double cpu(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 4) return fprintf(stderr, "spawner COUNT WORKERS SERVER\n"), 2;
    int workers = atoi(arguments[2]);
    pthread_t *threads = calloc((size_t)workers, sizeof *threads);
    atomic_store(&left, atoi(arguments[1]));
    server = arguments[3];
    double begun = now();
    for (int i = 0; i < workers; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) die("pthread_create");
    for (int i = 0; i < workers; i++) pthread_join(threads[i], NULL);
    printf("%.6f %.6f %.6f\n", now() - begun, cpu(RUSAGE_SELF), cpu(RUSAGE_CHILDREN));
    return 0;
}
