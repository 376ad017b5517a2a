/* MDP 0.1, both sides, for comparison with mdp.c and pirate.c: one service, no credit. */
#include <string.h>

#include "load.h"

static void mdp01_request(struct connection *c, uint32_t slot)
{
    size_t size;
    const char *name = service_name(next_service(), &size);

    zmtp_frame(c, &slot, sizeof slot, true);
    zmtp_frame(c, "", 0, true);
    zmtp_frame(c, "MDPC01", 6, true);
    zmtp_frame(c, name, size, true);
    zmtp_frame(c, body, options.size, false);
    message_end(c);
}

static void command_of_worker(struct connection *c, const char *command)
{
    zmtp_frame(c, "", 0, true);
    zmtp_frame(c, "MDPW01", 6, true);
    zmtp_frame(c, command, 1, command[0] != 4);
}

static void mdp01_heartbeat(struct connection *c)
{
    command_of_worker(c, "\4");
    message_end(c);
}

static void mdp01_ready(struct connection *c)
{
    if (c->role == WORKER) {
        size_t size;
        const char *name = service_name(c->index, &size);
        command_of_worker(c, "\1");
        zmtp_frame(c, name, size, false);
        message_end(c);
    }
    is_ready(c);
}

static void mdp01_message(struct connection *c, const struct frame *frames, unsigned count)
{
    uint32_t slot;

    if (c->role == WORKER) {
        if (count < 3 || frames[2].size != 1)
            die("no command of MDP 0.1 for a worker");
        if (frames[2].at[0] == 4)
            return;
        if (frames[2].at[0] != 2 || count != 6)
            die("worker %u was sent command %u", c->index, frames[2].at[0]);
        command_of_worker(c, "\3");
        for (unsigned at = 3; at < count; at++)
            zmtp_frame(c, frames[at].at, frames[at].size, at + 1 < count);
        message_end(c);
        return;
    }
    if (count != 5 || frames[0].size != sizeof slot || frames[4].size != options.size)
        die("a reply of %u frames", count);
    memcpy(&slot, frames[0].at, sizeof slot);
    answered(slot);
}

const struct protocol mdp01 = {
    .name = "mdp01",
    .opened = zmtp_opened,
    .consume = zmtp_consume,
    .ready = mdp01_ready,
    .message = mdp01_message,
    .request = mdp01_request,
    .heartbeat = mdp01_heartbeat,
};
