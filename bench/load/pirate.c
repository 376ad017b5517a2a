/*
 * Plain clients and Simple Pirate workers: messages without MDP. A client adds one envelope frame,
 * by which it matches a reply to its request; a worker returns each request as it came.
 */
#include <string.h>

#include "load.h"

static void pirate_request(struct connection *c, uint32_t slot)
{
    zmtp_frame(c, &slot, sizeof slot, true);
    zmtp_frame(c, "", 0, true);
    zmtp_frame(c, body, options.size, false);
    message_end(c);
}

static void pirate_ready(struct connection *c)
{
    if (c->role == WORKER) {
        zmtp_frame(c, "", 0, true);
        zmtp_frame(c, "\1", 1, false);
        message_end(c);
    }
    is_ready(c);
}

static void pirate_message(struct connection *c, const struct frame *frames, unsigned count)
{
    uint32_t slot;

    if (c->role == WORKER) {
        if (count < 4 || frames[0].size != 0)
            die("worker %u was sent %u frames", c->index, count);
        for (unsigned at = 0; at < count; at++)
            zmtp_frame(c, frames[at].at, frames[at].size, at + 1 < count);
        message_end(c);
        return;
    }
    if (count != 3 || frames[0].size != sizeof slot || frames[1].size != 0
        || frames[2].size != options.size)
        die("a reply of %u frames", count);
    memcpy(&slot, frames[0].at, sizeof slot);
    answered(slot);
}

const struct protocol pirate = {
    .name = "pirate",
    .opened = zmtp_opened,
    .consume = zmtp_consume,
    .ready = pirate_ready,
    .message = pirate_message,
    .request = pirate_request,
};
