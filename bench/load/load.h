/*
 * The load generator: clients and workers of one broker on many connections, in one thread. It uses
 * no library for the protocols, so that it costs less than what it measures.
 *
 *   main.c       options, the measured window, the result as one line of JSON
 *   net.c        connections, their buffers, the epoll loop
 *   histogram.c  latencies, to 0.8 %
 *   awake.c      no load: keeps a core from sleeping
 *   mdp.c        MDP 0.2 over zmtp.c (ZMTP 3.0; CURVE in curve.c), with worker credit
 *   mdp01.c      MDP 0.1; pirate.c: plain clients and Simple Pirates, on two ports
 *   nats.c       NATS request-reply: inboxes with a wildcard, a queue group of responders
 *   gearman.c    gearman's binary protocol
 *   http.c       programs that send requests over HTTP
 *   stores.c     beanstalkd's put and Redis' RPUSH, with --life until a worker deleted the job;
 *                Titanic's requests are in mdp.c
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_MAX 16
#define PIDS_MAX 4
#define SLOT_NONE UINT32_MAX

enum role { CLIENT, WORKER, IDLE, FILLER };

struct connection {
    int fd;
    enum role role;
    /* Index among the connections of its role. */
    unsigned index;
    bool ready, dirty, blocked;
    /* The part received of an incomplete message. */
    uint8_t *rest;
    size_t rest_size, rest_room;
    /* Output to write: [out_at, out_size). */
    uint8_t *out;
    size_t out_at, out_size, out_room;
    /* State of the protocol. */
    int phase;
    void *state;
};

struct frame {
    const uint8_t *at;
    size_t size;
};

struct protocol {
    const char *name;
    /* The connection is up. */
    void (*opened)(struct connection *c);
    /* Handles the complete messages in `bytes`; returns their size. */
    size_t (*consume)(struct connection *c, const uint8_t *bytes, size_t size);
    void (*request)(struct connection *c, uint32_t slot);
    /* Over zmtp.c: the handshake is over; a message arrived. */
    void (*ready)(struct connection *c);
    void (*message)(struct connection *c, const struct frame *frames, unsigned count);
    /* Sends a worker's heartbeat; NULL if the protocol has none. */
    void (*heartbeat)(struct connection *c);
};

struct options {
    const struct protocol *protocol;
    const char *host;
    /* Where workers connect; default: `port`. */
    unsigned worker_port;
    unsigned port, clients, workers, services, busy, credit, outstanding, size, idle, queued;
    unsigned heartbeat_ms;
    bool single;
    /* A stored request counts when it is gone again: executed by a worker, fetched, closed. */
    bool life;
    double seconds, warmup, rate;
    /* Processes whose CPU time is read at both ends of the window; the first is the broker's. */
    long pids[PIDS_MAX];
    unsigned pid_count;
    /* CURVE: the server's public key and our secret key, 32 bytes each; NULL for no security. */
    const uint8_t *server_key, *secret_key;
};

extern struct options options;
/* The body of every request: options.size bytes. */
extern uint8_t *body;

/* main.c */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
uint64_t clock_ns(void);
/* The service that worker `index` offers, and the one that the next request goes to. */
const char *service_name(unsigned index, size_t *size);
unsigned next_service(void);
/* The reply to the request in `slot` has arrived. */
void answered(uint32_t slot);

/* net.c */
void open_all(void);
/* The connection can be used. */
void is_ready(struct connection *c);
/* Runs until `turn`, called after each batch of events, gives a time-out (nanoseconds) below 0. */
void run(int64_t (*turn)(void));
/* Makes room for `size` bytes of output; `wrote` says how many were used. */
uint8_t *room(struct connection *c, size_t size);
void wrote(struct connection *c, size_t size);
void append(struct connection *c, const void *bytes, size_t size);
/* A message is complete: with --single it is written now, else at the end of the turn. */
void message_end(struct connection *c);
void flush_all(void);
struct connection *client(unsigned index);
struct connection *worker(unsigned index);
/* When the last bytes were read; accurate enough as their time of arrival. */
extern uint64_t now_ns;

/* awake.c */
__attribute__((noreturn)) void keep_awake(int core);

/* histogram.c */
void histogram_reset(void);
void histogram_add(uint64_t ns);
/* Microseconds; `share` from 0 to 1. */
double histogram_us(double share);

/* zmtp.c */
void zmtp_opened(struct connection *c);
size_t zmtp_consume(struct connection *c, const uint8_t *bytes, size_t size);
void zmtp_frame(struct connection *c, const void *bytes, size_t size, bool more);

/* curve.c, or stubs in zmtp.c where libsodium is absent */
bool curve_known(void);
void curve_hello(struct connection *c);
/* Handles a command of the handshake. */
void curve_step(struct connection *c, const uint8_t *command, size_t size);
void curve_seal(struct connection *c, const uint8_t *bytes, size_t size, bool more);
/* Opens a sealed frame into `plain` (which has room for it); returns its size, sets `flags`. */
size_t curve_open(struct connection *c, const uint8_t *sealed, size_t size, uint8_t *plain,
                  uint8_t *flags);

extern const struct protocol mdp, mdp01, pirate, nats, gearman, titanic, titanic_call, beanstalkd, redis, http, http_traced,
    http_varied, http_parsed, http_durable, http_events, restate;

#endif
