/*
 * Preloaded into lab-probe by hour.py: its wall clock is LATER_SECONDS ahead. The programs it starts do not inherit it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long later;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("LATER_SECONDS");
    later = seconds ? atol(seconds) : 0;
    unsetenv("LD_PRELOAD");
    unsetenv("LATER_SECONDS");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += later;
    return result;
}
