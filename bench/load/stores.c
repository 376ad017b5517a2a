/* Stores that answer each request with a line, in order: beanstalkd and Redis. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* A power of two. */
#define WAITING_MAX (1U << 18)

/* The slots of a connection whose lines have not arrived yet. */
struct waiting {
    uint32_t slots[WAITING_MAX];
    uint32_t head, tail;
};

static void stores_opened(struct connection *c)
{
    c->state = calloc(1, sizeof(struct waiting));
    if (c->state == NULL)
        die("out of memory");
    is_ready(c);
}

static void store(struct connection *c, uint32_t slot, const char *head, size_t head_size)
{
    struct waiting *waiting = c->state;

    if (waiting->head - waiting->tail == WAITING_MAX)
        die("more than %u requests wait", WAITING_MAX);
    waiting->slots[waiting->head++ % WAITING_MAX] = slot;
    append(c, head, head_size);
    append(c, body, options.size);
    append(c, "\r\n", 2);
    message_end(c);
}

static size_t consume_lines(struct connection *c, const uint8_t *bytes, size_t size,
                            const char *expected)
{
    struct waiting *waiting = c->state;
    size_t at = 0;

    while (at < size) {
        const char *line = (const char *) bytes + at;
        const char *newline = memchr(line, '\n', size - at);
        if (newline == NULL)
            return at;
        size_t line_size = (size_t) (newline - line) + 1;
        if (strncmp(line, expected, strlen(expected)) != 0 || waiting->tail == waiting->head)
            die("%s: %.*s", options.protocol->name, (int) line_size, line);
        answered(waiting->slots[waiting->tail++ % WAITING_MAX]);
        at += line_size;
    }
    return at;
}

static void beanstalkd_request(struct connection *c, uint32_t slot)
{
    char head[64];

    store(c, slot, head, (size_t) sprintf(head, "put 0 0 60 %u\r\n", options.size));
}

static size_t beanstalkd_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    return consume_lines(c, bytes, size, "INSERTED ");
}

static void redis_request(struct connection *c, uint32_t slot)
{
    char head[64];

    store(c, slot, head,
          (size_t) sprintf(head, "*3\r\n$5\r\nRPUSH\r\n$4\r\njobs\r\n$%u\r\n", options.size));
}

static size_t redis_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    return consume_lines(c, bytes, size, ":");
}

const struct protocol beanstalkd = {
    .name = "beanstalkd",
    .opened = stores_opened,
    .consume = beanstalkd_consume,
    .request = beanstalkd_request,
};

const struct protocol redis = {
    .name = "redis",
    .opened = stores_opened,
    .consume = redis_consume,
    .request = redis_request,
};
