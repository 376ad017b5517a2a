/*
 * NATS request-reply as its own clients do it: one wildcard inbox per client, a queue group of
 * workers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static void text(struct connection *c, const char *line)
{
    append(c, line, strlen(line));
}

static void nats_opened(struct connection *c)
{
    (void) c;
}

static void introduce(struct connection *c)
{
    char line[128];
    size_t size;

    text(c, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    if (c->role == WORKER) {
        sprintf(line, "SUB %s workers 1\r\n", service_name(c->index, &size));
        text(c, line);
    } else if (c->role == CLIENT) {
        sprintf(line, "SUB _INBOX.%u.* 1\r\n", c->index);
        text(c, line);
    }
    text(c, "PING\r\n");
    message_end(c);
}

static void publish(struct connection *c, const char *subject, size_t subject_size,
                    const char *reply, const uint8_t *payload, size_t size)
{
    char head[256];
    int head_size = sprintf(head, "PUB %.*s %s%s%zu\r\n", (int) subject_size, subject, reply,
                            reply[0] == 0 ? "" : " ", size);

    append(c, head, (size_t) head_size);
    append(c, payload, size);
    append(c, "\r\n", 2);
    message_end(c);
}

static void nats_request(struct connection *c, uint32_t slot)
{
    char reply[64];
    size_t size;
    const char *name = service_name(next_service(), &size);

    sprintf(reply, "_INBOX.%u.%u", c->index, slot);
    publish(c, name, size, reply, body, options.size);
}

/* `MSG subject sid [reply] size`; returns the size of line and payload, 0 if incomplete. */
static size_t message(struct connection *c, const char *line, size_t line_size, size_t left)
{
    const char *words[5];
    size_t sizes[5], count = 0;
    const char *end = line + line_size - 2;

    for (const char *at = line + 4; at < end && count < 5; count++) {
        const char *space = memchr(at, ' ', (size_t) (end - at));
        words[count] = at;
        sizes[count] = (size_t) ((space != NULL ? space : end) - at);
        at += sizes[count] + 1;
    }
    if (count < 3 || count > 4)
        die("MSG of %zu words", count);
    size_t size = strtoul(words[count - 1], NULL, 10);
    if (line_size + size + 2 > left)
        return 0;
    if (c->role == WORKER) {
        if (count != 4)
            die("a request without a reply subject");
        publish(c, words[2], sizes[2], "", (const uint8_t *) line + line_size, size);
    } else {
        const char *dot = memrchr(words[0], '.', sizes[0]);
        if (dot == NULL || size != options.size)
            die("a reply to another inbox, or of %zu bytes", size);
        answered((uint32_t) strtoul(dot + 1, NULL, 10));
    }
    return line_size + size + 2;
}

static size_t nats_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    while (at < size) {
        const char *line = (const char *) bytes + at;
        const char *newline = memchr(line, '\n', size - at);
        if (newline == NULL)
            return at;
        size_t line_size = (size_t) (newline - line) + 1;
        if (memcmp(line, "MSG ", 4) == 0) {
            size_t used = message(c, line, line_size, size - at);
            if (used == 0)
                return at;
            at += used;
            continue;
        }
        if (memcmp(line, "INFO", 4) == 0 && !c->ready) {
            introduce(c);
        } else if (memcmp(line, "PING", 4) == 0) {
            text(c, "PONG\r\n");
            message_end(c);
        } else if (memcmp(line, "PONG", 4) == 0) {
            is_ready(c);
        } else if (line[0] == '-') {
            die("NATS: %.*s", (int) line_size, line);
        }
        at += line_size;
    }
    return at;
}

const struct protocol nats = {
    .name = "nats",
    .opened = nats_opened,
    .consume = nats_consume,
    .request = nats_request,
};
