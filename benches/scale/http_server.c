/* An HTTP server that answers every request with 200 at once, in one thread over epoll.
 *
 *     http_server        prints the port it listens on; ends when its standard input does */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";

/* A request may come in pieces, but its last four bytes come last: none here has a body. */
static void serve(int socket) {
    char text[4096];
    ssize_t got = read(socket, text, sizeof text);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0)
        close(socket);
    else if (got >= 4 && !memcmp(text + got - 4, "\r\n\r\n", 4) &&
             write(socket, ANSWER, sizeof ANSWER - 1) != (ssize_t)sizeof ANSWER - 1)
        close(socket);
}

static void admit(int epoll, int listener) {
    int socket, yes = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = socket};
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
        serve(socket);
    }
}

int main(void) {
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        return perror("listen"), 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event first = {.events = EPOLLIN, .data.fd = listener}, events[256];
    struct epoll_event end = {.events = EPOLLIN, .data.fd = 0};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first);
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &end);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) admit(epoll, listener);
            else if (events[i].data.fd == 0) return 0;
            else serve(events[i].data.fd);
        }
    }
}
