/*
 * What the Guide's C programs use of CZMQ 2, for CZMQ 4: gcc -include czmq2.h PROGRAM.c
 * As there, a socket that is closed discards what it has not sent.
 */
#include <czmq.h>

typedef void zctx_t;
typedef void(zthread_attached_fn)(void *args, zctx_t *ctx, void *pipe);
typedef struct {
    zthread_attached_fn *run;
    void *args, *ctx, *pipe;
} zthread_t;

#define zctx_interrupted zsys_interrupted
#define zctx_new() (zsys_catch_interrupts(), zmq_ctx_new())
#define zctx_destroy(ctx) zmq_ctx_shutdown(*(ctx))

#define zsocket_destroy(ctx, socket) zmq_close(socket)
#define zsocket_connect(socket, ...) zsocket_open(zmq_connect, socket, __VA_ARGS__)
#define zsocket_bind(socket, ...) zsocket_open(zmq_bind, socket, __VA_ARGS__)
#define zsocket_set_subscribe(socket, topic) \
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic))

#define zmsg_load(message, file) zmsg_load(file)
#define zhash_foreach(hash, visit, argument) \
    for (void *item_ = zhash_first(hash); item_; item_ = zhash_next(hash)) \
        visit(zhash_cursor(hash), item_, argument)
#define zthread_new(run, args) pthread_create(&(pthread_t){0}, NULL, run, args)

static inline void *zsocket_new(zctx_t *ctx, int type)
{
    void *socket = zmq_socket(ctx, type);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int));
    return socket;
}

static inline int zsocket_rcvmore(void *socket)
{
    int more = 0;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &(size_t){sizeof more});
    return more;
}

static inline void zsocket_open(int (*open)(void *, const char *), void *socket,
                                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *endpoint = zsys_vprintf(format, args);
    va_end(args);
    if (open(socket, endpoint) != 0) {
        perror(endpoint);
        exit(1);
    }
    free(endpoint);
}

static inline void *zthread_main(void *thread)
{
    zthread_t *self = thread;
    self->run(self->args, self->ctx, self->pipe);
    return NULL;
}

static inline void *zthread_fork(zctx_t *ctx, zthread_attached_fn *run, void *args)
{
    zthread_t *self = malloc(sizeof *self);
    void *pipe = zsocket_new(ctx, ZMQ_PAIR);
    *self = (zthread_t){run, args, ctx, zsocket_new(ctx, ZMQ_PAIR)};
    zsocket_bind(pipe, "inproc://pipe-%p", pipe);
    zsocket_connect(self->pipe, "inproc://pipe-%p", pipe);
    zthread_new(zthread_main, self);
    return pipe;
}
