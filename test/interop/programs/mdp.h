/* What the C programs share: frames by hand on libzmq, no code of the broker's. */
#ifndef MDP_H
#define MDP_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define FRAMES_MAX 16
#define FRAME_BYTES_MAX 256

/* A received message: frames are cut to FRAME_BYTES_MAX, which no test sends more than. */
typedef struct {
    int count;
    size_t size[FRAMES_MAX];
    char data[FRAMES_MAX][FRAME_BYTES_MAX];
} message_t;

static inline void send_frame(void *socket, const void *data, size_t size, int more)
{
    int sent = zmq_send(socket, data, size, more ? ZMQ_SNDMORE : 0);
    assert(sent == (int) size);
}

static inline void send_text(void *socket, const char *text, int more)
{
    send_frame(socket, text, strlen(text), more);
}

/* Returns 0, or -1 if nothing came within ZMQ_RCVTIMEO. */
static inline int receive(void *socket, message_t *message)
{
    int more = 1;
    size_t more_size = sizeof more;

    message->count = 0;
    while (more) {
        char *data = message->data[message->count];
        int size = zmq_recv(socket, data, FRAME_BYTES_MAX, 0);
        if (size < 0)
            return -1;
        assert(size <= FRAME_BYTES_MAX && message->count < FRAMES_MAX);
        message->size[message->count++] = (size_t) size;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
    }
    return 0;
}

static inline int is(const message_t *message, int index, const char *data, size_t size)
{
    return index < message->count && message->size[index] == size
        && memcmp(message->data[index], data, size) == 0;
}

static inline void *open_socket(void *context, int type, const char *endpoint)
{
    int linger = 0, timeout_ms = 60000;
    void *socket = zmq_socket(context, type);
    assert(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    int failed = zmq_connect(socket, endpoint);
    assert(!failed);
    return socket;
}

#endif
