/* A worker of MDP 0.1 on a DEALER: ENDPOINT SERVICE COUNT. Replies with the body in capitals, ends
 * after COUNT requests with DISCONNECT. It keeps the client frame as a C string, as the Guide's worker in C++ does. */
#include <ctype.h>

#include "mdp.h"

static void send_command(void *socket, const char *command, int more)
{
    send_frame(socket, "", 0, 1);
    send_text(socket, "MDPW01", 1);
    send_frame(socket, command, 1, more);
}

static void answer(void *socket, message_t *request)
{
    char *client = strndup(request->data[3], request->size[3]);
    send_command(socket, "\x03", 1);
    send_text(socket, client, 1);
    free(client);
    for (int index = 4; index < request->count; index++) {
        if (index > 4)
            for (size_t at = 0; at < request->size[index]; at++)
                request->data[index][at] = toupper((unsigned char) request->data[index][at]);
        send_frame(socket, request->data[index], request->size[index], index + 1 < request->count);
    }
}

int main(int argc, char **argv)
{
    message_t message;

    assert(argc == 4);
    int left = atoi(argv[3]);
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_DEALER, argv[1]);
    send_command(socket, "\x01", 1);
    send_text(socket, argv[2], 0);
    while (left > 0) {
        if (receive(socket, &message) != 0) {
            puts("{\"event\": \"silence\"}");
            return 1;
        }
        assert(is(&message, 0, "", 0) && is(&message, 1, "MDPW01", 6));
        if (is(&message, 2, "\x04", 1)) {
            send_command(socket, "\x04", 0);
            continue;
        }
        /* REQUEST, client, empty, body */
        assert(is(&message, 2, "\x02", 1) && message.count >= 6 && is(&message, 4, "", 0));
        answer(socket, &message);
        left--;
    }
    send_command(socket, "\x05", 0);
    int linger = 2000;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(socket);
    zmq_ctx_term(context);
    puts("{\"event\": \"done\"}");
    return 0;
}
