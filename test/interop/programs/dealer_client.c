/* A DEALER client of MDP 0.2: ENDPOINT SERVICE COUNT. Sends all its requests before it reads, each
 * with an id of four bytes as its envelope (D1), and checks that every id comes back once, with its
 * own body. */
#include <stdint.h>

#include "mdp.h"

int main(int argc, char **argv)
{
    message_t reply;
    char body[16];

    assert(argc == 4);
    uint32_t count = (uint32_t) atoi(argv[3]), right = 0;
    char *seen = calloc(count, 1);
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_DEALER, argv[1]);
    for (uint32_t number = 0; number < count; number++) {
        send_frame(socket, &number, sizeof number, 1);
        send_frame(socket, "", 0, 1);
        send_text(socket, "MDPC02", 1);
        send_frame(socket, "\x01", 1, 1);
        send_text(socket, argv[2], 1);
        snprintf(body, sizeof body, "BODY %u", number);
        send_text(socket, body, 0);
    }
    for (uint32_t done = 0; done < count; done++) {
        uint32_t number;
        if (receive(socket, &reply) != 0)
            break;
        assert(reply.count >= 6 && reply.size[0] == sizeof number && is(&reply, 1, "", 0));
        assert(is(&reply, 2, "MDPC02", 6) && is(&reply, 3, "\x03", 1));
        memcpy(&number, reply.data[0], sizeof number);
        assert(number < count && !seen[number]);
        seen[number] = 1;
        snprintf(body, sizeof body, "BODY %u", number);
        right += is(&reply, 5, body, strlen(body));
    }
    printf("{\"event\": \"done\", \"right\": %u}\n", right);
    free(seen);
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
