/*
 * MDP 0.2, both sides. Clients add one envelope frame, by which they match a reply to its request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define NOBODY "nobody"
#define UUID_SIZE 32
/* A worker's reply to a stored request. */
#define DONE "done"

static void head_of_worker(struct connection *c, const char *command_byte)
{
    zmtp_frame(c, "MDPW02", 6, true);
    zmtp_frame(c, command_byte, 1, command_byte[0] != 5);
}

static void request_to(struct connection *c, uint32_t slot, const char *service, size_t service_size,
                       const void *text, size_t size)
{
    zmtp_frame(c, &slot, sizeof slot, true);
    zmtp_frame(c, "", 0, true);
    zmtp_frame(c, "MDPC02", 6, true);
    zmtp_frame(c, "\1", 1, true);
    zmtp_frame(c, service, service_size, true);
    zmtp_frame(c, text, size, false);
    message_end(c);
}

static void mdp_request(struct connection *c, uint32_t slot)
{
    size_t size;
    const char *name = service_name(next_service(), &size);

    request_to(c, slot, name, size, body, options.size);
}

static void titanic_head(struct connection *c, uint32_t slot, const char *service)
{
    zmtp_frame(c, &slot, sizeof slot, true);
    zmtp_frame(c, "", 0, true);
    zmtp_frame(c, "MDPC02", 6, true);
    zmtp_frame(c, "\1", 1, true);
    zmtp_frame(c, service, strlen(service), true);
}

/* What the request in a slot waits for, with --life. */
static struct life {
    enum { RECEIPT, RESULT, CLOSED } until;
    char uuid[UUID_SIZE];
} *lives;

/* 9/TSP. Without --life it is for a service without workers, so that the broker only stores it. */
static void titanic_request(struct connection *c, uint32_t slot)
{
    size_t size = strlen(NOBODY);
    const char *name = options.life ? service_name(next_service(), &size) : NOBODY;

    if (lives == NULL)
        lives = calloc(options.outstanding, sizeof *lives);
    if (lives == NULL)
        die("out of memory");
    if (options.life)
        lives[slot].until = RECEIPT;
    titanic_head(c, slot, "titanic.request");
    zmtp_frame(c, name, size, true);
    zmtp_frame(c, body, options.size, false);
    message_end(c);
}

/* The answer to the last step of the request in a slot: begins the next one. */
static void titanic_step(struct connection *c, uint32_t slot, const struct frame *frames,
                         unsigned count)
{
    struct life *life = &lives[slot];

    switch (life->until) {
    case RECEIPT:
        if (count != 7 || frames[6].size != UUID_SIZE)
            die("a receipt of %u frames", count);
        memcpy(life->uuid, frames[6].at, UUID_SIZE);
        life->until = RESULT;
        titanic_head(c, slot, "titanic.wait");
        zmtp_frame(c, life->uuid, UUID_SIZE, true);
        zmtp_frame(c, "60000", 5, false);
        message_end(c);
        return;
    case RESULT:
        if (count != 7 || frames[6].size != strlen(DONE))
            die("a result of %u frames", count);
        life->until = CLOSED;
        titanic_head(c, slot, "titanic.close");
        zmtp_frame(c, life->uuid, UUID_SIZE, false);
        message_end(c);
        return;
    case CLOSED:
        answered(slot);
    }
}

/* A life in one exchange, with a key as the SDKs send it: the close goes out with the next request, unawaited. */
static void titanic_call_request(struct connection *c, uint32_t slot)
{
    static unsigned long long count;
    char text[64];
    size_t size;
    const char *name = service_name(next_service(), &size);

    if (lives == NULL)
        lives = calloc(options.outstanding, sizeof *lives);
    if (lives == NULL)
        die("out of memory");
    lives[slot].until = RECEIPT;
    titanic_head(c, slot, "titanic.call");
    sprintf(text, "{\"key\":\"once-%016llx%016llx\"}", (unsigned long long) clock_ns(), count++);
    zmtp_frame(c, text, strlen(text), true);
    zmtp_frame(c, name, size, true);
    zmtp_frame(c, body, options.size, false);
    message_end(c);
}

static void titanic_call_answer(struct connection *c, const struct frame *frames, unsigned count)
{
    uint32_t slot;

    if (count < 6 || frames[0].size != sizeof slot || frames[3].size != 1 || frames[5].size != 3
        || memcmp(frames[5].at, "200", 3) != 0)
        die("an answer of %u frames that is not 200", count);
    memcpy(&slot, frames[0].at, sizeof slot);
    if (frames[4].size == strlen("titanic.close"))
        return;
    struct life *life = &lives[slot];
    if (frames[3].at[0] == 2) {
        if (count != 7 || frames[6].size != UUID_SIZE)
            die("a receipt of %u frames", count);
        memcpy(life->uuid, frames[6].at, UUID_SIZE);
        life->until = RESULT;
        return;
    }
    if (life->until != RESULT || count != 7 || frames[6].size != strlen(DONE))
        die("a result of %u frames", count);
    titanic_head(c, slot, "titanic.close");
    zmtp_frame(c, life->uuid, UUID_SIZE, false);
    message_end(c);
    answered(slot);
}

static void mdp_heartbeat(struct connection *c)
{
    head_of_worker(c, "\5");
    message_end(c);
}

static void mdp_ready(struct connection *c)
{
    if (c->role == WORKER) {
        char credit[16];
        size_t size;
        const char *name = service_name(c->index, &size);
        head_of_worker(c, "\1");
        zmtp_frame(c, name, size, options.credit > 1);
        if (options.credit > 1)
            zmtp_frame(c, credit, (size_t) sprintf(credit, "%u", options.credit), false);
        message_end(c);
    } else if (c->role == FILLER) {
        for (unsigned at = 0; at < options.queued; at++)
            request_to(c, SLOT_NONE, NOBODY, strlen(NOBODY), body, options.size);
        /* The broker itself answers this, after all of the others. */
        request_to(c, SLOT_NONE, "mmi.service", 11, NOBODY, strlen(NOBODY));
        return;
    }
    is_ready(c);
}

static void to_client(struct connection *c, const struct frame *frames, unsigned count)
{
    uint32_t slot;

    if (options.protocol == &titanic_call) {
        titanic_call_answer(c, frames, count);
        return;
    }
    if (count < 6 || frames[0].size != sizeof slot || frames[1].size != 0 || frames[3].size != 1
        || frames[3].at[0] != 3)
        die("not a FINAL of MDP 0.2, of %u frames", count);
    memcpy(&slot, frames[0].at, sizeof slot);
    if (c->role == FILLER) {
        is_ready(c);
        return;
    }
    if (options.protocol == &titanic) {
        if (frames[5].size != 3 || memcmp(frames[5].at, "200", 3) != 0)
            die("no receipt: %.*s", (int) frames[5].size, (const char *) frames[5].at);
        if (options.life) {
            titanic_step(c, slot, frames, count);
            return;
        }
    } else if (count != 6 || frames[5].size != options.size) {
        die("a reply of %u frames, its body of %zu bytes", count, frames[5].size);
    }
    answered(slot);
}

static void mdp_message(struct connection *c, const struct frame *frames, unsigned count)
{
    if (c->role != WORKER) {
        to_client(c, frames, count);
        return;
    }
    if (count < 2 || frames[0].size != 6 || memcmp(frames[0].at, "MDPW02", 6) != 0
        || frames[1].size != 1)
        die("no command of MDP 0.2 for a worker");
    if (frames[1].at[0] == 5)
        return;
    if (frames[1].at[0] != 2 || count != 5)
        die("worker %u was sent command %u", c->index, frames[1].at[0]);
    head_of_worker(c, "\4");
    zmtp_frame(c, frames[2].at, frames[2].size, true);
    zmtp_frame(c, "", 0, true);
    if (options.life)
        zmtp_frame(c, DONE, strlen(DONE), false);
    else
        zmtp_frame(c, frames[4].at, frames[4].size, false);
    message_end(c);
}

const struct protocol mdp = {
    .name = "mdp",
    .opened = zmtp_opened,
    .consume = zmtp_consume,
    .ready = mdp_ready,
    .message = mdp_message,
    .request = mdp_request,
    .heartbeat = mdp_heartbeat,
};

const struct protocol titanic = {
    .name = "titanic",
    .opened = zmtp_opened,
    .consume = zmtp_consume,
    .ready = mdp_ready,
    .message = mdp_message,
    .request = titanic_request,
    .heartbeat = mdp_heartbeat,
};

const struct protocol titanic_call = {
    .name = "titanic-call",
    .opened = zmtp_opened,
    .consume = zmtp_consume,
    .ready = mdp_ready,
    .message = mdp_message,
    .request = titanic_call_request,
    .heartbeat = mdp_heartbeat,
};
