/* Asks for the same path COUNT times, CONCURRENCY at a time, over kept connections: drives blackbox_exporter without
 * costing much itself. Every answer must be a 200 that holds "probe_success 1".
 *
 *     http_driver COUNT CONCURRENCY PORT PATH        prints seconds of wall time */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int socket;
    size_t held;
    char text[32768];
};

static char question[1024];
static size_t question_length;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void ask(struct connection *connection) {
    connection->held = 0;
    if (write(connection->socket, question, question_length) != (ssize_t)question_length) die("write");
}

/* Whether the answer is complete: its length is given, or its last piece is the empty one. */
static int complete(struct connection *connection) {
    char *body = strstr(connection->text, "\r\n\r\n"), *length = strcasestr(connection->text, "\r\ncontent-length:");
    if (!body) return 0;
    if (length && length < body)
        return connection->held >= (size_t)(body + 4 - connection->text) + strtoul(length + 17, NULL, 10);
    return connection->held > 5 && !memcmp(connection->text + connection->held - 5, "0\r\n\r\n", 5);
}

/* Joins the pieces of an answer: one may end in the middle of the line that is looked for. */
static void join(char *piece) {
    char *joined = piece;
    for (size_t length; (length = strtoul(piece, &piece, 16)) > 0; piece += length + 2) {
        memmove(joined, piece + 2, length);
        joined += length, piece += 2;
    }
    *joined = 0;
}

static int hear(struct connection *connection) {
    ssize_t got = read(connection->socket, connection->text + connection->held, sizeof connection->text - 1 - connection->held);
    if (got <= 0) die("read");
    connection->held += (size_t)got;
    connection->text[connection->held] = 0;
    if (!complete(connection)) return 0;
    if (strcasestr(connection->text, "transfer-encoding: chunked")) join(strstr(connection->text, "\r\n\r\n") + 4);
    if (!strstr(connection->text, "\nprobe_success 1")) die("a probe failed");
    return 1;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int arguments, char **argument) {
    if (arguments != 5) return fprintf(stderr, "http_driver COUNT CONCURRENCY PORT PATH\n"), 2;
    int count = atoi(argument[1]), concurrency = atoi(argument[2]), asked = 0, heard = 0, yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argument[3])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    question_length = (size_t)snprintf(question, sizeof question, "GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n", argument[4]);
    if (concurrency > count) concurrency = count;
    struct connection *connections = calloc((size_t)concurrency, sizeof *connections);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    double begun = now();
    for (; asked < concurrency; asked++) {
        struct connection *connection = &connections[asked];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(connection->socket, (struct sockaddr *)&address, sizeof address)) die("connect");
        setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(epoll, EPOLL_CTL_ADD, connection->socket, &event);
        ask(connection);
    }
    while (heard < count) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (!hear(events[i].data.ptr)) continue;
            heard++;
            if (asked < count) asked++, ask(events[i].data.ptr);
        }
    }
    printf("%.6f\n", now() - begun);
    return 0;
}
