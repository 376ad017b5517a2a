/* gearman's binary protocol: clients submit jobs in the foreground, workers sleep when there is none. */
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define HEAD_BYTES 12
/* Number of jobs that can be looked up by number at once; a power of 2. */
#define JOBS_MAX (1u << 20)

enum {
    CAN_DO = 1,
    PRE_SLEEP = 4,
    NOOP = 6,
    SUBMIT_JOB = 7,
    JOB_CREATED = 8,
    GRAB_JOB = 9,
    NO_JOB = 10,
    JOB_ASSIGN = 11,
    WORK_COMPLETE = 13,
};

/* Slots of requests whose JOB_CREATED has not arrived: these arrive in order. */
struct submitted {
    uint32_t *slots;
    uint32_t head, tail;
};

static uint32_t slot_of_job[JOBS_MAX];

static void packet(struct connection *c, uint32_t type, size_t size)
{
    uint8_t head[HEAD_BYTES] = {0, 'R', 'E', 'Q'};

    for (int at = 0; at < 4; at++) {
        head[4 + at] = (uint8_t) (type >> (24 - 8 * at));
        head[8 + at] = (uint8_t) (size >> (24 - 8 * at));
    }
    append(c, head, sizeof head);
}

static void gearman_opened(struct connection *c)
{
    size_t size;

    if (c->role == WORKER) {
        const char *name = service_name(c->index, &size);
        packet(c, CAN_DO, size);
        append(c, name, size);
        packet(c, PRE_SLEEP, 0);
        message_end(c);
    } else {
        struct submitted *submitted = calloc(1, sizeof *submitted);
        if (submitted != NULL)
            submitted->slots = calloc(JOBS_MAX, sizeof *submitted->slots);
        if (submitted == NULL || submitted->slots == NULL)
            die("out of memory");
        c->state = submitted;
    }
    is_ready(c);
}

static void gearman_request(struct connection *c, uint32_t slot)
{
    struct submitted *submitted = c->state;
    size_t size;
    const char *name = service_name(next_service(), &size);

    submitted->slots[submitted->head++ % JOBS_MAX] = slot;
    packet(c, SUBMIT_JOB, size + 2 + options.size);
    append(c, name, size + 1);
    append(c, "", 1);
    append(c, body, options.size);
    message_end(c);
}

/* The number at the end of a handle, `H:host:17`. */
static uint32_t job_number(const uint8_t *handle, size_t size)
{
    uint32_t number = 0;
    size_t at = size;

    while (at > 0 && handle[at - 1] != ':')
        at--;
    for (; at < size; at++)
        number = number * 10 + (uint32_t) (handle[at] - '0');
    return number % JOBS_MAX;
}

static void handle_packet(struct connection *c, uint32_t type, const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    size_t handle = zero == NULL ? size : (size_t) (zero - data);

    if (type == NOOP) {
        packet(c, GRAB_JOB, 0);
        message_end(c);
    } else if (type == NO_JOB) {
        packet(c, PRE_SLEEP, 0);
        message_end(c);
    } else if (type == JOB_ASSIGN && zero != NULL) {
        const uint8_t *end = memchr(zero + 1, 0, size - handle - 1);
        if (end == NULL)
            die("JOB_ASSIGN without data");
        size_t data_size = size - (size_t) (end + 1 - data);
        packet(c, WORK_COMPLETE, handle + 1 + data_size);
        append(c, data, handle + 1);
        append(c, end + 1, data_size);
        packet(c, GRAB_JOB, 0);
        message_end(c);
    } else if (type == JOB_CREATED) {
        struct submitted *submitted = c->state;
        slot_of_job[job_number(data, size)] = submitted->slots[submitted->tail++ % JOBS_MAX];
    } else if (type == WORK_COMPLETE) {
        answered(slot_of_job[job_number(data, handle)]);
    } else {
        die("gearman: packet of type %u", type);
    }
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
}

static size_t gearman_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    while (size - at >= HEAD_BYTES) {
        size_t data_size = number(bytes + at + 8);
        if (size - at - HEAD_BYTES < data_size)
            break;
        handle_packet(c, number(bytes + at + 4), bytes + at + HEAD_BYTES, data_size);
        at += HEAD_BYTES + data_size;
    }
    return at;
}

const struct protocol gearman = {
    .name = "gearman",
    .opened = gearman_opened,
    .consume = gearman_consume,
    .request = gearman_request,
};
