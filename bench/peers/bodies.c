/*
 * Requests with large bodies, libzmq at both ends. `bodies proxy FRONT BACK` is zmq_proxy between two ports, with nothing
 * else; `bodies load …` measures it, or a broker of MDP 0.2, and prints a line of JSON.
 *
 *     bodies load KIND FRONT BACK PID SIZE OUTSTANDING SECONDS WARMUP [SMALL]
 *
 * KIND is `proxy` or `mdp`. With SMALL, one request of 16 bytes at a time is sent to a worker of its own meanwhile, and
 * the times are of these.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define TIMES_MAX 4000000
#define WORKERS 4
#define OUTSTANDING_MAX 1024

static void *context;
static bool is_mdp;
static char back[64], front[64];

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void *dealer(const char *endpoint)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int none = 0;

    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    if (zmq_connect(socket, endpoint) < 0)
        die(endpoint);
    return socket;
}

static void send_text(void *socket, const char *text, size_t size, bool more)
{
    if (zmq_send(socket, text, size, more ? ZMQ_SNDMORE : 0) < 0)
        die("send");
}

/* Receives a message, of which it keeps the last frame. Returns the number of frames; `heads`: the first of them. */
static int receive(void *socket, zmq_msg_t heads[8], zmq_msg_t *last)
{
    for (int count = 0;; count++) {
        if (count == 8)
            die("too many frames");
        if (zmq_msg_recv(&heads[count], socket, 0) < 0)
            die("receive");
        if (!zmq_msg_more(&heads[count])) {
            zmq_msg_move(last, &heads[count]);
            return count;
        }
    }
}

static void *work(void *service)
{
    void *socket = dealer(back);
    zmq_msg_t heads[8], last;

    for (int index = 0; index < 8; index++)
        zmq_msg_init(&heads[index]);
    zmq_msg_init(&last);
    if (is_mdp) {
        send_text(socket, "MDPW02", 6, true);
        send_text(socket, "\1", 1, true);
        send_text(socket, service, strlen(service), false);
    }
    for (;;) {
        int count = receive(socket, heads, &last);
        /* A HEARTBEAT is answered; a REQUEST has the address and an empty frame. */
        if (is_mdp && count < 3) {
            send_text(socket, "MDPW02", 6, true);
            send_text(socket, "\5", 1, false);
            continue;
        }
        for (int index = 0; index < count; index++) {
            if (is_mdp && index == 1)
                send_text(socket, "\4", 1, true);
            else
                zmq_msg_send(&heads[index], socket, ZMQ_SNDMORE);
        }
        zmq_msg_send(&last, socket, 0);
    }
    return NULL;
}

static char *content;

static void ask(void *socket, const char *service, uint32_t slot, size_t size)
{
    zmq_msg_t body;

    if (is_mdp) {
        send_text(socket, "MDPC02", 6, true);
        send_text(socket, "\1", 1, true);
        send_text(socket, service, strlen(service), true);
    } else {
        /* The worker's message has as many frames. */
        send_text(socket, "", 0, true);
    }
    zmq_msg_init_size(&body, size);
    memcpy(zmq_msg_data(&body), content, size);
    memcpy(zmq_msg_data(&body), &slot, sizeof slot);
    if (zmq_msg_send(&body, socket, 0) < 0)
        die("send");
}

/* CPU seconds of a process. */
static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user, kernel;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *after = strrchr(text, ')');
    if (after == NULL || sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        die("stat");
    return (double) (user + kernel) / sysconf(_SC_CLK_TCK);
}

static double resident_of(int pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        die(path);
    fclose(file);
    return (double) pages * sysconf(_SC_PAGESIZE);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *) a, right = *(const double *) b;

    return left < right ? -1 : left > right;
}

static double *times;
static long timed;
static volatile bool is_measuring, is_over;

static void note(double seconds)
{
    if (is_measuring && timed < TIMES_MAX)
        times[timed++] = seconds;
}

static void wait_for_workers(void *socket, const char *service)
{
    zmq_msg_t heads[8], last;

    for (int index = 0; index < 8; index++)
        zmq_msg_init(&heads[index]);
    zmq_msg_init(&last);
    ask(socket, service, 0, 16);
    receive(socket, heads, &last);
    usleep(200000);
}

static void *small(void *unused)
{
    (void) unused;
    void *socket = dealer(front);
    zmq_msg_t heads[8], last;

    for (int index = 0; index < 8; index++)
        zmq_msg_init(&heads[index]);
    zmq_msg_init(&last);
    wait_for_workers(socket, "small");
    while (!is_over) {
        double since = now();
        ask(socket, "small", 0, 16);
        receive(socket, heads, &last);
        note(now() - since);
        usleep(1000);
    }
    return NULL;
}

static int load(int count, char **args)
{
    if (count < 8)
        return 64;
    is_mdp = strcmp(args[0], "mdp") == 0;
    snprintf(front, sizeof front, "tcp://127.0.0.1:%s", args[1]);
    snprintf(back, sizeof back, "tcp://127.0.0.1:%s", args[2]);
    int pid = atoi(args[3]);
    size_t size = strtoul(args[4], NULL, 10);
    unsigned outstanding = atoi(args[5]);
    double seconds = atof(args[6]), warmup = atof(args[7]);
    bool has_small = count > 8;
    double sent[OUTSTANDING_MAX];
    long requests = 0;
    zmq_msg_t heads[8], last;
    pthread_t thread;

    context = zmq_ctx_new();
    content = malloc(size);
    memset(content, 'x', size);
    times = malloc(TIMES_MAX * sizeof *times);
    for (int index = 0; index < WORKERS; index++)
        pthread_create(&thread, NULL, work, "work");
    if (has_small) {
        if (is_mdp)
            pthread_create(&thread, NULL, work, "small");
        pthread_create(&thread, NULL, small, NULL);
    }
    void *socket = dealer(front);
    for (int index = 0; index < 8; index++)
        zmq_msg_init(&heads[index]);
    zmq_msg_init(&last);
    usleep(300000);
    wait_for_workers(socket, "work");
    for (uint32_t slot = 0; slot < outstanding; slot++) {
        sent[slot] = now();
        ask(socket, "work", slot, size);
    }
    double begun = now(), since = 0, cpu = 0, own = 0, resident = 0;
    struct rusage usage;
    for (;;) {
        uint32_t slot;
        receive(socket, heads, &last);
        double at = now();
        if (zmq_msg_size(&last) != size)
            die("another size");
        memcpy(&slot, zmq_msg_data(&last), sizeof slot);
        zmq_msg_close(&last);
        zmq_msg_init(&last);
        if (!has_small)
            note(at - sent[slot]);
        if (is_measuring) {
            requests++;
            if (at - since >= seconds)
                break;
        } else if (at - begun >= warmup) {
            getrusage(RUSAGE_SELF, &usage);
            own = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
            cpu = cpu_of(pid);
            since = now();
            is_measuring = true;
        }
        sent[slot] = now();
        ask(socket, "work", slot, size);
    }
    is_over = true;
    seconds = now() - since;
    cpu = cpu_of(pid) - cpu;
    resident = resident_of(pid);
    getrusage(RUSAGE_SELF, &usage);
    own = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6 - own;
    qsort(times, timed, sizeof *times, compare);
    printf("{\"requests\":%ld,\"seconds\":%f,\"p50Us\":%.0f,\"p99Us\":%.0f,\"p999Us\":%.0f,\"loadCpuSeconds\":%f,"
           "\"brokerCpuSeconds\":%f,\"brokerResidentBytes\":%.0f}\n",
           requests, seconds, 1e6 * times[timed / 2], 1e6 * times[timed * 99 / 100], 1e6 * times[timed * 999 / 1000], own, cpu,
           resident);
    fflush(stdout);
    _exit(0);
}

static int proxy(const char *front_port, const char *back_port)
{
    int none = 0;
    context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER), *rest = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(router, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(rest, ZMQ_SNDHWM, &none, sizeof none);
    snprintf(front, sizeof front, "tcp://127.0.0.1:%s", front_port);
    snprintf(back, sizeof back, "tcp://127.0.0.1:%s", back_port);
    if (zmq_bind(router, front) < 0 || zmq_bind(rest, back) < 0)
        die("bind");
    zmq_proxy(router, rest, NULL);
    return 1;
}

int main(int count, char **args)
{
    if (count == 4 && strcmp(args[1], "proxy") == 0)
        return proxy(args[2], args[3]);
    if (count > 2 && strcmp(args[1], "load") == 0)
        return load(count - 2, args + 2);
    return 64;
}
