/* What looking at every file costs at least: one fstatat(2) each, and nothing else.
 *
 *     floor LIST DIRECTORY        LIST: paths below DIRECTORY, one a line, those of one directory together
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "floor LIST DIRECTORY");
	FILE *list = fopen(argv[1], "re");
	if (!list)
		err(1, "%s", argv[1]);
	int root = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC), directory = -1;
	if (root < 0)
		err(1, "%s", argv[2]);
	char *line = NULL, *known = strdup("");
	size_t room = 0;
	ssize_t length;
	while ((length = getline(&line, &room, list)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = 0;
		char *slash = strrchr(line, '/'), *name = slash ? slash + 1 : line;
		if (slash)
			*slash = 0;
		const char *here = slash ? line : ".";
		if (strcmp(here, known)) {
			free(known);
			known = strdup(here);
			if (directory >= 0)
				close(directory);
			directory = openat(root, here, O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		struct stat found;
		if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW))
			err(1, "%s/%s", known, name);
	}
	return 0;
}
