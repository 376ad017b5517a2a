/* A REP server, as the Guide's hwserver: ENDPOINT [DELAY_MS]; it answers with what it was sent.
   With a delay it prints that it has a request. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#define FRAMES_MAX 64

int main(int argc, char **argv)
{
    zmq_msg_t frames[FRAMES_MAX];

    assert(argc >= 2);
    const unsigned delay = argc > 2 ? (unsigned) atoi(argv[2]) * 1000 : 0;
    void *context = zmq_ctx_new();
    void *responder = zmq_socket(context, ZMQ_REP);
    if (zmq_bind(responder, argv[1]) != 0) {
        perror("bind");
        return 1;
    }
    puts("{\"event\": \"listening\"}");
    fflush(stdout);
    for (;;) {
        int count = 0;
        do {
            assert(count < FRAMES_MAX);
            zmq_msg_init(&frames[count]);
            if (zmq_msg_recv(&frames[count], responder, 0) < 0)
                return 1;
        } while (zmq_msg_more(&frames[count++]));
        if (argc > 2) {
            puts("{\"event\": \"request\"}");
            fflush(stdout);
            usleep(delay);
        }
        for (int at = 0; at < count; at++)
            zmq_msg_send(&frames[at], responder, at < count - 1 ? ZMQ_SNDMORE : 0);
    }
}
