/* An MCP server on standard streams that answers at once, in both eras: what a check costs without its server. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *result_of(const char *line) {
    if (strstr(line, "\"server/discover\""))
        return "{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},"
               "\"ttlMs\":0,\"cacheScope\":\"private\","
               "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"instant\",\"version\":\"1\"}}}";
    if (strstr(line, "\"initialize\""))
        return "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
               "\"serverInfo\":{\"name\":\"instant\",\"version\":\"1\"}}";
    if (strstr(line, "\"tools/list\""))
        return "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",\"tools\":[{\"name\":\"echo\",\"description\":\"Says it again\","
               "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}}}}]}";
    return NULL;
}

static void answer(const char *line) {
    const char *result = result_of(line), *id = strstr(line, "\"id\":");
    char text[512];
    if (!result || !id) return;
    int length = snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":%s}\n", atol(id + 5), result);
    if (write(1, text, (size_t)length) != length) _exit(1);
}

int main(void) {
    static char input[8192];
    size_t held = 0;
    for (;;) {
        ssize_t got = read(0, input + held, sizeof input - 1 - held);
        if (got <= 0) return 0;
        held += (size_t)got;
        input[held] = 0;
        char *line = input, *end;
        while ((end = memchr(line, '\n', held - (size_t)(line - input)))) {
            *end = 0;
            answer(line);
            line = end + 1;
        }
        held -= (size_t)(line - input);
        memmove(input, line, held);
        if (held == sizeof input - 1) return 1;
    }
}
