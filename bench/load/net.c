/* Connections, their buffers, the epoll loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define READ_BYTES (256 * 1024)
#define EVENTS_MAX 512
/* Connections in their handshake at once: a broker's backlog is short. */
#define OPENING_MAX 64

uint64_t now_ns;

static struct connection *all;
static unsigned all_count, opened_count, ready_count;
static struct connection **dirty;
static unsigned dirty_count;
static int epoll_fd;
static uint8_t input[READ_BYTES];

struct connection *worker(unsigned index) { return &all[index]; }
struct connection *client(unsigned index) { return &all[options.workers + index]; }

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void open_next(void)
{
    struct connection *c = &all[opened_count++];
    unsigned port = c->role == WORKER ? options.worker_port : options.port;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int one = 1;

    if (inet_pton(AF_INET, options.host, &address.sin_addr) != 1)
        die("not an address: %s", options.host);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &address, sizeof address) < 0)
        die("connection %u of %u: %s", opened_count, all_count, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    options.protocol->opened(c);
}

void is_ready(struct connection *c)
{
    if (c->ready)
        return;
    c->ready = true;
    ready_count++;
}

uint8_t *room(struct connection *c, size_t size)
{
    if (c->out_size + size > c->out_room) {
        if (c->out_at > 0) {
            memmove(c->out, c->out + c->out_at, c->out_size - c->out_at);
            c->out_size -= c->out_at;
            c->out_at = 0;
        }
        if (c->out_size + size > c->out_room) {
            c->out_room = (c->out_size + size) * 2;
            c->out = realloc(c->out, c->out_room);
            if (c->out == NULL)
                die("out of memory");
        }
    }
    return c->out + c->out_size;
}

void wrote(struct connection *c, size_t size)
{
    c->out_size += size;
}

void append(struct connection *c, const void *bytes, size_t size)
{
    memcpy(room(c, size), bytes, size);
    wrote(c, size);
}

static void flush(struct connection *c)
{
    while (c->out_at < c->out_size) {
        ssize_t sent = send(c->fd, c->out + c->out_at, c->out_size - c->out_at,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                die("send: %s", strerror(errno));
            if (!c->blocked)
                watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->blocked = true;
            return;
        }
        c->out_at += (size_t) sent;
    }
    c->out_at = c->out_size = 0;
    if (c->blocked)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->blocked = false;
}

void message_end(struct connection *c)
{
    if (c->blocked)
        return;
    if (options.single) {
        flush(c);
    } else if (!c->dirty) {
        c->dirty = true;
        dirty[dirty_count++] = c;
    }
}

void flush_all(void)
{
    for (unsigned at = 0; at < dirty_count; at++) {
        dirty[at]->dirty = false;
        flush(dirty[at]);
    }
    dirty_count = 0;
}

/* Makes room in `rest` for `size` bytes. */
static void grow_rest(struct connection *c, size_t size)
{
    if (size <= c->rest_room)
        return;
    c->rest_room = size * 2;
    c->rest = realloc(c->rest, c->rest_room);
    if (c->rest == NULL)
        die("out of memory");
}

/* An incomplete message stays where it is, and what follows is read behind it: a large one is not moved. */
static void receive(struct connection *c)
{
    size_t had = c->rest_size, room = sizeof input;
    uint8_t *into = input;

    if (had > 0) {
        grow_rest(c, had + READ_BYTES);
        into = c->rest;
        room = c->rest_room;
    }
    ssize_t got = recv(c->fd, into + had, room - had, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("the broker closed a connection (role %d, number %u): %s", c->role, c->index,
            got < 0 ? strerror(errno) : "end of stream");
    size_t size = had + (size_t) got, used = options.protocol->consume(c, into, size);
    c->rest_size = size - used;
    grow_rest(c, c->rest_size);
    if (c->rest_size > 0 && (used > 0 || into == input))
        memmove(c->rest, into + used, c->rest_size);
}

/* Sleeps with nanosecond precision: polling the clock would take a core from what is measured. */
static void wait_for(int64_t timeout_ns)
{
    struct pollfd ready = {.fd = epoll_fd, .events = POLLIN};
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};

    if (ppoll(&ready, 1, &timeout, NULL) < 0 && errno != EINTR)
        die("ppoll: %s", strerror(errno));
}

static void events(int64_t timeout_ns)
{
    static struct epoll_event got[EVENTS_MAX];

    if (timeout_ns % 1000000 != 0)
        wait_for(timeout_ns);
    int timeout_ms = timeout_ns % 1000000 == 0 ? (int) (timeout_ns / 1000000) : 0;
    int count = epoll_wait(epoll_fd, got, EVENTS_MAX, timeout_ms);

    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    now_ns = clock_ns();
    for (int at = 0; at < count; at++) {
        struct connection *c = got[at].data.ptr;
        if (got[at].events & EPOLLOUT)
            flush(c);
        if (got[at].events & ~(uint32_t) EPOLLOUT)
            receive(c);
    }
}

void open_all(void)
{
    const unsigned counts[] = {options.workers, options.clients, options.idle,
                               options.queued > 0 ? 1 : 0};
    const enum role roles[] = {WORKER, CLIENT, IDLE, FILLER};
    uint64_t until = clock_ns() + 60000000000ULL;

    for (unsigned kind = 0; kind < 4; kind++)
        all_count += counts[kind];
    all = calloc(all_count, sizeof *all);
    dirty = calloc(all_count, sizeof *dirty);
    epoll_fd = epoll_create1(0);
    if (all == NULL || dirty == NULL || epoll_fd < 0)
        die("out of memory");
    unsigned at = 0;
    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned index = 0; index < counts[kind]; index++, at++) {
            all[at].role = roles[kind];
            all[at].index = index;
        }
    }
    while (ready_count < all_count) {
        while (opened_count < all_count && opened_count - ready_count < OPENING_MAX)
            open_next();
        flush_all();
        events(100000000);
        flush_all();
        if (clock_ns() > until)
            die("%u of %u connections are ready after a minute", ready_count, all_count);
    }
}

void run(int64_t (*turn)(void))
{
    /* Otherwise the kernel may wake it 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1);
    now_ns = clock_ns();
    for (int64_t timeout_ns = turn(); timeout_ns >= 0; timeout_ns = turn()) {
        flush_all();
        events(timeout_ns);
    }
}
