/* The least that a tick can be: says hello, writes one file and renames it into place; `hello DIRECTORY sync` syncs it first. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **words) {
    static const char text[] = "hello, world\n";
    char new[512], old[512];
    if (count < 2)
        return 2;
    snprintf(new, sizeof new, "%s/.hello.tmp", words[1]);
    snprintf(old, sizeof old, "%s/hello", words[1]);
    int file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, sizeof text - 1) != sizeof text - 1)
        return 1;
    if (count > 2 && strcmp(words[2], "sync") == 0 && fsync(file) != 0)
        return 1;
    if (close(file) != 0 || rename(new, old) != 0)
        return 1;
    fputs(text, stdout);
    return 0;
}
