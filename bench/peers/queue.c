/*
 * A minimal queue of Simple Pirates on libzmq: two ROUTERs, one thread besides libzmq's own, the
 * least recently used worker first. It shows the cost of a C queue written as in the ZeroMQ Guide:
 * it keeps no request, and takes one from its clients only if a worker waits. Like the Guide's it
 * polls before each message; unlike that one it moves frames instead of copying them.
 *
 *     queue CLIENTS WORKERS    (endpoints)
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#define FRAMES_MAX 16
#define WORKERS_MAX 16384

/* Routing ids of the workers that wait, in a ring, oldest first. */
static zmq_msg_t waiting[WORKERS_MAX];
static unsigned first, count;

static void *listening(void *context, const char *endpoint)
{
    void *router = zmq_socket(context, ZMQ_ROUTER);
    int unlimited = 0;

    zmq_setsockopt(router, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(router, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    if (zmq_bind(router, endpoint) < 0) {
        fprintf(stderr, "queue: %s: %s\n", endpoint, zmq_strerror(zmq_errno()));
        exit(1);
    }
    return router;
}

/* Returns the number of frames. */
static int receive(void *from, zmq_msg_t *frames)
{
    int received = 0, more;

    do {
        assert(received < FRAMES_MAX);
        zmq_msg_init(&frames[received]);
        if (zmq_msg_recv(&frames[received], from, ZMQ_DONTWAIT) < 0)
            return 0;
        more = zmq_msg_more(&frames[received++]);
    } while (more);
    return received;
}

static void send_frames(void *to, zmq_msg_t *frames, int from, int until)
{
    for (int at = from; at < until; at++) {
        if (zmq_msg_send(&frames[at], to, at + 1 < until ? ZMQ_SNDMORE : 0) < 0)
            zmq_msg_close(&frames[at]);
    }
}

/* `[worker] [empty] READY`, or `[worker] [empty] [client] …`: a reply. */
static void from_worker(void *clients, void *workers)
{
    zmq_msg_t frames[FRAMES_MAX];
    int received = receive(workers, frames);

    if (received < 3)
        return;
    assert(count < WORKERS_MAX);
    zmq_msg_t *last = &waiting[(first + count++) % WORKERS_MAX];
    zmq_msg_init(last);
    zmq_msg_move(last, &frames[0]);
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    if (received == 3)
        zmq_msg_close(&frames[2]);
    else
        send_frames(clients, frames, 2, received);
}

static void from_client(void *clients, void *workers)
{
    zmq_msg_t frames[FRAMES_MAX];
    int received = receive(clients, frames);

    if (received == 0)
        return;
    count--;
    zmq_msg_send(&waiting[first], workers, ZMQ_SNDMORE);
    first = (first + 1) % WORKERS_MAX;
    zmq_send(workers, "", 0, ZMQ_SNDMORE);
    send_frames(workers, frames, 0, received);
}

int main(int arguments, char **endpoints)
{
    assert(arguments == 3);
    void *context = zmq_ctx_new();
    void *clients = listening(context, endpoints[1]), *workers = listening(context, endpoints[2]);
    zmq_pollitem_t items[] = {{workers, 0, ZMQ_POLLIN, 0}, {clients, 0, ZMQ_POLLIN, 0}};

    for (;;) {
        zmq_poll(items, count > 0 ? 2 : 1, -1);
        if (items[0].revents & ZMQ_POLLIN)
            from_worker(clients, workers);
        if (count > 0 && (items[1].revents & ZMQ_POLLIN))
            from_client(clients, workers);
        items[1].revents = 0;
    }
}
