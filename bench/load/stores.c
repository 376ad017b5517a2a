/*
 * Stores that answer each request with a line, in order: beanstalkd and Redis. With --life, workers
 * reserve the jobs and delete them; then a job begins with its slot and the process that put it: a
 * run may get jobs that the run before it left behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

/* A power of two. */
#define WAITING_MAX (1U << 18)
#define LABEL_DIGITS 8

/* The slots of a connection whose lines have not arrived yet. */
struct waiting {
    uint32_t slots[WAITING_MAX];
    uint32_t head, tail;
};

static void push(struct connection *c, uint32_t slot)
{
    struct waiting *waiting = c->state;

    if (waiting->head - waiting->tail == WAITING_MAX)
        die("more than %u requests wait", WAITING_MAX);
    waiting->slots[waiting->head++ % WAITING_MAX] = slot;
}

static uint32_t pop(struct connection *c)
{
    struct waiting *waiting = c->state;

    if (waiting->tail == waiting->head)
        die("%s: an answer that nothing waits for", options.protocol->name);
    return waiting->slots[waiting->tail++ % WAITING_MAX];
}

static void stores_opened(struct connection *c)
{
    c->state = calloc(1, sizeof(struct waiting));
    if (c->state == NULL)
        die("out of memory");
    is_ready(c);
}

static void text(struct connection *c, const char *line)
{
    append(c, line, strlen(line));
}

static void store(struct connection *c, uint32_t slot, const char *head, size_t head_size)
{
    char labels[2 * LABEL_DIGITS + 1];

    push(c, slot);
    append(c, head, head_size);
    if (options.life) {
        sprintf(labels, "%08x%08x", slot, (unsigned) getpid());
        memcpy(body, labels, 2 * LABEL_DIGITS);
    }
    append(c, body, options.size);
    append(c, "\r\n", 2);
    message_end(c);
}

static unsigned label_of(const char *job, unsigned index)
{
    char digits[LABEL_DIGITS + 1] = {0};

    memcpy(digits, job + index * LABEL_DIGITS, LABEL_DIGITS);
    return (unsigned) strtoul(digits, NULL, 16);
}

/* SLOT_NONE for a job of an earlier run. */
static uint32_t slot_of(const char *job)
{
    return label_of(job, 1) == (unsigned) getpid() ? label_of(job, 0) : SLOT_NONE;
}

static void deleted(struct connection *c)
{
    uint32_t slot = pop(c);

    if (slot != SLOT_NONE)
        answered(slot);
}

/* The size of a line with its end; 0 if it is incomplete. */
static size_t line_size(const uint8_t *bytes, size_t size)
{
    const uint8_t *newline = memchr(bytes, '\n', size);

    return newline == NULL ? 0 : (size_t) (newline - bytes) + 1;
}

static void expect(const char *line, size_t size, const char *expected)
{
    if (strncmp(line, expected, strlen(expected)) != 0)
        die("%s: %.*s", options.protocol->name, (int) size, line);
}

static size_t consume_lines(struct connection *c, const uint8_t *bytes, size_t size,
                            const char *expected)
{
    size_t at = 0;

    for (size_t line; (line = line_size(bytes + at, size - at)) > 0; at += line) {
        expect((const char *) bytes + at, line, expected);
        uint32_t slot = pop(c);
        if (!options.life)
            answered(slot);
    }
    return at;
}

static void beanstalkd_opened(struct connection *c)
{
    stores_opened(c);
    if (c->role != WORKER)
        return;
    text(c, "reserve\r\n");
    message_end(c);
}

static void beanstalkd_request(struct connection *c, uint32_t slot)
{
    char head[64];

    store(c, slot, head, (size_t) sprintf(head, "put 0 0 60 %u\r\n", options.size));
}

/* `RESERVED id size`, then the job; `DELETED`. */
static size_t beanstalkd_work(struct connection *c, const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    for (size_t line; (line = line_size(bytes + at, size - at)) > 0;) {
        const char *start = (const char *) bytes + at;
        char command[64], *after_id;

        if (start[0] == 'D') {
            expect(start, line, "DELETED");
            deleted(c);
            at += line;
            continue;
        }
        expect(start, line, "RESERVED ");
        unsigned long long id = strtoull(start + strlen("RESERVED "), &after_id, 10);
        size_t job_size = strtoul(after_id, NULL, 10);
        if (at + line + job_size + 2 > size)
            return at;
        push(c, slot_of(start + line));
        sprintf(command, "delete %llu\r\nreserve\r\n", id);
        text(c, command);
        message_end(c);
        at += line + job_size + 2;
    }
    return at;
}

static size_t beanstalkd_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    return c->role == WORKER ? beanstalkd_work(c, bytes, size)
                             : consume_lines(c, bytes, size, "INSERTED ");
}

/* Moves the oldest job to the list of those in progress, and waits for one. */
static void redis_reserve(struct connection *c)
{
    text(c, "*6\r\n$6\r\nBLMOVE\r\n$4\r\njobs\r\n$7\r\nworking\r\n$4\r\nLEFT\r\n$5\r\nRIGHT\r\n"
            "$1\r\n0\r\n");
    message_end(c);
}

static void redis_opened(struct connection *c)
{
    stores_opened(c);
    if (c->role == WORKER)
        redis_reserve(c);
}

static void redis_request(struct connection *c, uint32_t slot)
{
    char head[64];

    store(c, slot, head,
          (size_t) sprintf(head, "*3\r\n$5\r\nRPUSH\r\n$4\r\njobs\r\n$%u\r\n", options.size));
}

/* `$size`, then the job; `:1` for a job that was removed. */
static size_t redis_work(struct connection *c, const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    for (size_t line; (line = line_size(bytes + at, size - at)) > 0;) {
        const char *start = (const char *) bytes + at;
        char head[64];

        if (start[0] == ':') {
            expect(start, line, ":1\r\n");
            deleted(c);
            at += line;
            continue;
        }
        expect(start, line, "$");
        size_t job_size = strtoul(start + 1, NULL, 10);
        if (at + line + job_size + 2 > size)
            return at;
        push(c, slot_of(start + line));
        sprintf(head, "*4\r\n$4\r\nLREM\r\n$7\r\nworking\r\n$1\r\n1\r\n$%zu\r\n", job_size);
        text(c, head);
        append(c, start + line, job_size + 2);
        redis_reserve(c);
        at += line + job_size + 2;
    }
    return at;
}

static size_t redis_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    return c->role == WORKER ? redis_work(c, bytes, size) : consume_lines(c, bytes, size, ":");
}

const struct protocol beanstalkd = {
    .name = "beanstalkd",
    .opened = beanstalkd_opened,
    .consume = beanstalkd_consume,
    .request = beanstalkd_request,
};

const struct protocol redis = {
    .name = "redis",
    .opened = redis_opened,
    .consume = redis_consume,
    .request = redis_request,
};
