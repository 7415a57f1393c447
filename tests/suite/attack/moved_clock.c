/* Preloaded, moves the wall clock of a program by CLOCK_MOVED_BY seconds, and once CLOCK_MOVES_AFTER_MS milliseconds of
 * monotonic time have passed since its first look by CLOCK_MOVED_THEN instead. The monotonic clock goes on as it is:
 * so it looks when somebody sets the clock, and when a machine that was suspended wakes up.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

static long millis(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static long begun;

__attribute__((constructor)) static void begin(void) { begun = millis(); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long after = number("CLOCK_MOVES_AFTER_MS");
        int moved = after > 0 && millis() - begun >= after;
        now->tv_sec += number(moved ? "CLOCK_MOVED_THEN" : "CLOCK_MOVED_BY");
    }
    return result;
}
