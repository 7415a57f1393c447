/* kill_at_call N PROGRAM ARGS…: runs a program and kills it with SIGKILL as it enters its Nth system call, counted
 * over all its threads. Prints the calls it made and the number of the last one, and exits as the program did.
 * With N = 0 the program runs to its end. strace counts for each thread and each name apart, and follows threads only
 * together with the children; this follows the threads alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* linux/ptrace.h, which does not go together with sys/ptrace.h everywhere. */
#define GET_SYSCALL_INFO 0x420e
struct call { unsigned char op, pad[3]; unsigned arch; unsigned long long ip, sp, number, args[6], more[4]; };

static void refuse(const char *what) {
    perror(what);
    exit(125);
}

static pid_t start(char **command) {
    int go[2];
    if (pipe(go) != 0) refuse("pipe");
    pid_t program = fork();
    if (program < 0) refuse("fork");
    if (program == 0) {
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) != 1) _exit(125);
        close(go[0]);
        execv(command[0], command);
        _exit(126);
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, program, 0, options) != 0) refuse("ptrace");
    if (ptrace(PTRACE_INTERRUPT, program, 0, 0) != 0) refuse("ptrace");
    if (write(go[1], "", 1) != 1) refuse("write");
    close(go[0]);
    close(go[1]);
    return program;
}

int main(int count, char **args) {
    if (count < 3) return 125;
    unsigned long kill_at = strtoul(args[1], NULL, 10), calls = 0;
    unsigned long long last = 0;
    int executed = 0, ended = 0, status;
    pid_t program = start(args + 2), thread;
    while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (thread < 0) continue;
        if (!WIFSTOPPED(status)) {
            if (thread == program) ended = status;
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16, pass_on = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct call call = {0};
            if (executed && ptrace(GET_SYSCALL_INFO, thread, sizeof call, &call) > 0 && call.op == 1) {
                last = call.number;
                if (++calls == kill_at) kill(program, SIGKILL);
            }
        } else if (event == PTRACE_EVENT_EXEC) {
            executed = 1;
        } else if (event == 0) {
            pass_on = signal;
        }
        /* Fails for a thread that is being killed: it is waited for above. */
        ptrace(PTRACE_SYSCALL, thread, 0, pass_on);
    }
    fprintf(stderr, "\nkill_at_call %lu %llu\n", calls, last);
    return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
}
