/* A REQ client of MDP 0.1: ENDPOINT SERVICE BODY. */
#include "mdp.h"

int main(int argc, char **argv)
{
    message_t reply;

    assert(argc == 4);
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_REQ, argv[1]);
    send_text(socket, "MDPC01", 1);
    send_text(socket, argv[2], 1);
    send_text(socket, argv[3], 0);
    if (receive(socket, &reply) != 0) {
        puts("{\"event\": \"silence\"}");
        return 1;
    }
    assert(reply.count == 3 && is(&reply, 0, "MDPC01", 6));
    assert(is(&reply, 1, argv[2], strlen(argv[2])));
    printf("{\"event\": \"reply\", \"frames\": [\"%.*s\"]}\n", (int) reply.size[2], reply.data[2]);
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
