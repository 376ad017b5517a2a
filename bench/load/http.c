/*
 * HTTP/1.1 with keep-alive, one request at a time on each connection: a program that sends requests
 * to a service, that traces them (http-traced), sends another head each time (http-varied), one that needs
 * a whole parser (http-parsed), has them stored
 * (http-durable: 202, the result, DELETE), or reads events (http-events). A bare server is sent the
 * same bytes. Restate answers a call of its service `bench` when the result is kept (restate).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* The token of `bench/http/servers.ts`. */
#define COMMON "host: 127.0.0.1\r\nauthorization: Bearer bench-bench-bench-bench-bench\r\n"
#define PATH_MAX_BYTES 128

enum step { STORE, FETCH, DELETE };

struct exchange {
    uint32_t slot;
    char path[PATH_MAX_BYTES];
};

static void http_opened(struct connection *c)
{
    c->state = calloc(1, sizeof(struct exchange));
    if (c->state == NULL)
        die("out of memory");
    is_ready(c);
}

static bool is(const char *name)
{
    return strcmp(options.protocol->name, name) == 0;
}

static void http_request(struct connection *c, uint32_t slot)
{
    struct exchange *exchange = c->state;
    static unsigned long traces;
    char head[512], trace[80], varied[40], parsed[40], path[PATH_MAX_BYTES] = "/bench/echo";
    size_t name_size;
    const char *name = service_name(next_service(), &name_size);

    if (!is("restate"))
        snprintf(path, sizeof path, "/api/v1/services/%.*s/requests", (int) name_size, name);
    sprintf(trace, "traceparent: 00-0af7651916cd43dd%016lx-b7ad6b7169203331-01\r\n", ++traces);
    sprintf(varied, "x-varied: %lu\r\n", traces);
    sprintf(parsed, "x-parsed:\t%lu\r\n", traces);
    const char *wanted = is("http-durable") ? "prefer: respond-async\r\n"
        : is("http-events")                 ? "accept: text/event-stream\r\n"
        : is("http-traced")                 ? trace
        : is("http-varied")                 ? varied
        : is("http-parsed")                 ? parsed
                                            : "";

    exchange->slot = slot;
    c->phase = STORE;
    int size = snprintf(head, sizeof head,
                        "POST %s HTTP/1.1\r\n" COMMON
                        "content-type: application/octet-stream\r\n%scontent-length: %u\r\n\r\n",
                        path, wanted, options.size);
    append(c, head, (size_t) size);
    append(c, body, options.size);
    message_end(c);
}

static void follow(struct connection *c, const char *method, const char *more)
{
    struct exchange *exchange = c->state;
    char head[512];
    int size = snprintf(head, sizeof head, "%s %s%s HTTP/1.1\r\n" COMMON "\r\n", method,
                        exchange->path, more);

    append(c, head, (size_t) size);
    message_end(c);
}

/* The value of a header, whose name is given with its line end before it; NULL: absent. */
static const char *value_of(const char *head, const char *end, const char *name)
{
    const char *at = memmem(head, (size_t) (end - head), name, strlen(name));

    return at == NULL ? NULL : at + strlen(name);
}

static void expect(const char *answer, const char *end, const char *status)
{
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, strlen(status)) != 0)
        die("HTTP: %.*s", (int) (end - answer), answer);
}

/* What an answer leads to. */
static void received(struct connection *c, const char *answer, const char *end)
{
    struct exchange *exchange = c->state;

    if (!is("http-durable")) {
        expect(answer, end, "200");
        answered(exchange->slot);
    } else if (c->phase == STORE) {
        const char *location = value_of(answer, end, "\r\nlocation: ");
        expect(answer, end, "202");
        size_t size = location == NULL ? 0 : strcspn(location, "\r");
        if (size == 0 || size >= PATH_MAX_BYTES)
            die("HTTP: no location");
        memcpy(exchange->path, location, size);
        exchange->path[size] = 0;
        c->phase = FETCH;
        follow(c, "GET", "?waitMs=60000");
    } else if (c->phase == FETCH) {
        expect(answer, end, "200");
        exchange->path[strlen(exchange->path) - strlen("/result")] = 0;
        c->phase = DELETE;
        follow(c, "DELETE", "");
    } else {
        expect(answer, end, "20");
        answered(exchange->slot);
    }
}

/* The size of a body in chunks with its end, from `at`; 0: incomplete. */
static size_t chunks(const char *at, const char *end)
{
    const char *last = memmem(at, (size_t) (end - at), "0\r\n\r\n", 5);

    while (last != NULL && last > at && last[-1] != '\n')
        last = memmem(last + 1, (size_t) (end - last - 1), "0\r\n\r\n", 5);
    return last == NULL ? 0 : (size_t) (last - at) + 5;
}

static size_t http_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    const char *answer = (const char *) bytes, *end = answer + size;
    const char *blank = memmem(bytes, size, "\r\n\r\n", 4);

    if (blank == NULL)
        return 0;
    const char *after = blank + 4;
    /* Node writes names as they are given to it: ours and those of the bare server are in lower case. */
    const char *length = value_of(answer, blank + 2, "\r\ncontent-length: ");
    size_t body_size = length == NULL ? 0 : strtoul(length, NULL, 10);
    if (length == NULL && value_of(answer, blank + 2, "chunked\r\n") != NULL) {
        body_size = chunks(after, end);
        if (body_size == 0)
            return 0;
    }
    if ((size_t) (end - after) < body_size)
        return 0;
    received(c, answer, blank);
    return (size_t) (after - answer) + body_size;
}

const struct protocol http = {
    .name = "http",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol http_traced = {
    .name = "http-traced",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol http_varied = {
    .name = "http-varied",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol http_parsed = {
    .name = "http-parsed",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol http_durable = {
    .name = "http-durable",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol http_events = {
    .name = "http-events",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};

const struct protocol restate = {
    .name = "restate",
    .opened = http_opened,
    .consume = http_consume,
    .request = http_request,
};
