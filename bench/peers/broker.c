/*
 * A minimal Majordomo broker (MDP 0.2) on libzmq: one ROUTER, one thread besides libzmq's own, a
 * hash of services, the least recently used worker first. It shows the cost of a C broker written
 * as in the ZeroMQ Guide: no limits, no queries, nothing kept for a second delivery. Like the
 * Guide's broker it polls before each message; unlike that one it moves bodies instead of copying
 * them, and makes no objects of frames.
 *
 *     broker ENDPOINT    (or --version: of libzmq)
 *
 * A worker's `client` frame is the client's routing id and envelope, packed in one frame.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define FRAMES_MAX 16
#define BUCKETS (1u << 15)
#define LIVENESS 3
#define NAME_MAX 255

struct name {
    uint8_t size;
    uint8_t bytes[NAME_MAX];
};

struct request {
    struct request *next;
    zmq_msg_t client, body;
};

struct worker {
    struct worker *next_in_bucket;
    /* Link in its service's list of waiting workers, oldest first. */
    struct worker *before, *after;
    struct service *service;
    struct name routing_id;
    int64_t expires_at, heartbeat_at;
    int waiting;
};

struct service {
    struct service *next_in_bucket;
    struct name name;
    struct request *first, **last;
    struct worker *oldest, *newest;
};

static void *router;
static const int64_t heartbeat_ms = 2500;
static struct service *services[BUCKETS];
static struct worker *workers[BUCKETS];
static int64_t now_ms;

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint32_t hash(const uint8_t *bytes, size_t size)
{
    uint32_t value = 2166136261u;

    for (size_t at = 0; at < size; at++)
        value = (value ^ bytes[at]) * 16777619u;
    return value & (BUCKETS - 1);
}

static int named(const struct name *name, zmq_msg_t *frame)
{
    return name->size == zmq_msg_size(frame)
        && memcmp(name->bytes, zmq_msg_data(frame), name->size) == 0;
}

static struct name name_of(zmq_msg_t *frame)
{
    struct name name = {.size = (uint8_t) zmq_msg_size(frame)};

    memcpy(name.bytes, zmq_msg_data(frame), name.size);
    return name;
}

static struct service *service_named(zmq_msg_t *frame)
{
    struct service **at = &services[hash(zmq_msg_data(frame), zmq_msg_size(frame))];

    for (; *at != NULL; at = &(*at)->next_in_bucket) {
        if (named(&(*at)->name, frame))
            return *at;
    }
    *at = calloc(1, sizeof **at);
    assert(*at);
    (*at)->name = name_of(frame);
    (*at)->last = &(*at)->first;
    return *at;
}

static struct worker **worker_at(zmq_msg_t *routing_id)
{
    struct worker **at = &workers[hash(zmq_msg_data(routing_id), zmq_msg_size(routing_id))];

    while (*at != NULL && !named(&(*at)->routing_id, routing_id))
        at = &(*at)->next_in_bucket;
    return at;
}

static void send_bytes(const void *bytes, size_t size, int flags)
{
    zmq_send(router, bytes, size, flags);
}

static void send_frame(zmq_msg_t *frame, int flags)
{
    if (zmq_msg_send(frame, router, flags) < 0)
        zmq_msg_close(frame);
}

static void send_head(const struct worker *worker, const char *command, int more)
{
    send_bytes(worker->routing_id.bytes, worker->routing_id.size, ZMQ_SNDMORE);
    send_bytes("MDPW02", 6, ZMQ_SNDMORE);
    send_bytes(command, 1, more);
    if (worker->heartbeat_at < now_ms + heartbeat_ms)
        ((struct worker *) worker)->heartbeat_at = now_ms + heartbeat_ms;
}

static void stop_waiting(struct worker *worker)
{
    struct service *service = worker->service;

    if (!worker->waiting)
        return;
    worker->waiting = 0;
    *(worker->before != NULL ? &worker->before->after : &service->oldest) = worker->after;
    *(worker->after != NULL ? &worker->after->before : &service->newest) = worker->before;
}

static void wait_for_work(struct worker *worker)
{
    struct service *service = worker->service;

    worker->waiting = 1;
    worker->before = service->newest;
    worker->after = NULL;
    *(service->newest != NULL ? &service->newest->after : &service->oldest) = worker;
    service->newest = worker;
}

static void forget(struct worker **at)
{
    struct worker *worker = *at;

    stop_waiting(worker);
    *at = worker->next_in_bucket;
    free(worker);
}

static void dispatch(struct service *service)
{
    while (service->first != NULL && service->oldest != NULL) {
        struct request *request = service->first;
        struct worker *worker = service->oldest;
        service->first = request->next;
        if (service->first == NULL)
            service->last = &service->first;
        stop_waiting(worker);
        send_head(worker, "\2", ZMQ_SNDMORE);
        send_frame(&request->client, ZMQ_SNDMORE);
        send_bytes("", 0, ZMQ_SNDMORE);
        send_frame(&request->body, 0);
        free(request);
    }
}

/* `[routing id] [id]* [empty] "MDPC02" 0x01 service body`, the delimiter at frame `empty`. */
static void client_message(zmq_msg_t *frames, int count, int empty)
{
    size_t size = 0;

    if (count != empty + 5 || zmq_msg_size(&frames[empty + 3]) > NAME_MAX)
        return;
    for (int at = 0; at < empty; at++)
        size += 1 + zmq_msg_size(&frames[at]);
    struct request *request = calloc(1, sizeof *request);
    assert(request);
    zmq_msg_init_size(&request->client, size);
    uint8_t *to = zmq_msg_data(&request->client);
    for (int at = 0; at < empty; at++) {
        size_t frame_size = zmq_msg_size(&frames[at]);
        *to++ = (uint8_t) frame_size;
        memcpy(to, zmq_msg_data(&frames[at]), frame_size);
        to += frame_size;
    }
    zmq_msg_init(&request->body);
    zmq_msg_move(&request->body, &frames[empty + 4]);
    struct service *service = service_named(&frames[empty + 3]);
    *service->last = request;
    service->last = &request->next;
    dispatch(service);
}

static void reply(const struct worker *worker, zmq_msg_t *client, zmq_msg_t *body)
{
    const uint8_t *at = zmq_msg_data(client), *end = at + zmq_msg_size(client);

    while (at < end && at + 1 + *at <= end) {
        send_bytes(at + 1, *at, ZMQ_SNDMORE);
        at += 1 + *at;
    }
    send_bytes("", 0, ZMQ_SNDMORE);
    send_bytes("MDPC02", 6, ZMQ_SNDMORE);
    send_bytes("\3", 1, ZMQ_SNDMORE);
    send_bytes(worker->service->name.bytes, worker->service->name.size, ZMQ_SNDMORE);
    send_frame(body, 0);
}

static void worker_message(zmq_msg_t *frames, int count)
{
    struct worker **at = worker_at(&frames[0]);
    struct worker *worker = *at;
    int command = *(const uint8_t *) zmq_msg_data(&frames[2]);

    if (command == 1 && count >= 4 && worker == NULL && zmq_msg_size(&frames[3]) <= NAME_MAX) {
        worker = *at = calloc(1, sizeof *worker);
        assert(worker);
        worker->routing_id = name_of(&frames[0]);
        worker->service = service_named(&frames[3]);
        worker->heartbeat_at = now_ms + heartbeat_ms;
        wait_for_work(worker);
    } else if (worker == NULL) {
        struct worker stranger = {.routing_id = name_of(&frames[0])};
        send_head(&stranger, "\6", 0);
        return;
    } else if (command == 4 && count == 6) {
        reply(worker, &frames[3], &frames[5]);
        wait_for_work(worker);
    } else if (command != 5) {
        forget(at);
        return;
    }
    worker->expires_at = now_ms + LIVENESS * heartbeat_ms;
    dispatch(worker->service);
}

/* Called periodically: heartbeats, and workers that were silent for too long. */
static void keep_house(void)
{
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        struct worker **at = &workers[bucket];
        while (*at != NULL) {
            if ((*at)->expires_at <= now_ms) {
                forget(at);
                continue;
            }
            if ((*at)->heartbeat_at <= now_ms)
                send_head(*at, "\5", 0);
            at = &(*at)->next_in_bucket;
        }
    }
}

static void receive(void)
{
    zmq_msg_t frames[FRAMES_MAX];
    int count = 0, more;

    do {
        if (count == FRAMES_MAX)
            zmq_msg_close(&frames[--count]);
        zmq_msg_init(&frames[count]);
        if (zmq_msg_recv(&frames[count], router, ZMQ_DONTWAIT) < 0)
            return;
        more = zmq_msg_more(&frames[count++]);
    } while (more);
    if (count > 2 && zmq_msg_size(&frames[1]) == 6 && zmq_msg_size(&frames[2]) == 1
        && memcmp(zmq_msg_data(&frames[1]), "MDPW02", 6) == 0) {
        worker_message(frames, count);
    } else {
        int empty = 1;
        while (empty < count && zmq_msg_size(&frames[empty]) != 0)
            empty++;
        if (empty + 1 < count && zmq_msg_size(&frames[empty + 1]) == 6
            && memcmp(zmq_msg_data(&frames[empty + 1]), "MDPC02", 6) == 0)
            client_message(frames, count, empty);
    }
    for (int at = 0; at < count; at++)
        zmq_msg_close(&frames[at]);
}

int main(int count, char **arguments)
{
    void *context = zmq_ctx_new();
    int unlimited = 0;

    assert(count >= 2);
    if (strcmp(arguments[1], "--version") == 0) {
        int major, minor, patch;
        zmq_version(&major, &minor, &patch);
        printf("libzmq %d.%d.%d\n", major, minor, patch);
        return 0;
    }
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 16384);
    router = zmq_socket(context, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(router, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    if (zmq_bind(router, arguments[1]) < 0) {
        fprintf(stderr, "broker: %s: %s\n", arguments[1], zmq_strerror(zmq_errno()));
        return 1;
    }
    puts("ready");
    fflush(stdout);
    zmq_pollitem_t items[] = {{router, 0, ZMQ_POLLIN, 0}};
    for (int64_t house_at = 0;;) {
        zmq_poll(items, 1, heartbeat_ms);
        now_ms = clock_ms();
        receive();
        if (now_ms >= house_at) {
            keep_house();
            house_at = now_ms + heartbeat_ms / 4;
        }
    }
}
