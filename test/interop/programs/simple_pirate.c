/* A Simple Pirate worker of the Guide: ENDPOINT COUNT ; returns COUNT requests as they came. */
#include "mdp.h"

int main(int argc, char **argv)
{
    message_t message;

    assert(argc == 3);
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_REQ, argv[1]);
    send_text(socket, "\001", 0);
    for (int left = atoi(argv[2]); left > 0; left--) {
        assert(receive(socket, &message) == 0);
        for (int index = 0; index < message.count; index++)
            send_frame(socket, message.data[index], message.size[index],
                       index + 1 < message.count);
    }
    puts("{\"event\": \"done\"}");
    fflush(stdout);
    /* The reply leaves before the socket closes. */
    zmq_setsockopt(socket, ZMQ_LINGER, &(int) {5000}, sizeof(int));
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
