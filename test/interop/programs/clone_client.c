/*
 * A client of the map with the sockets, states and frames of the Guide's clonecli6: a DEALER and a SUB
 * for each server, a PUB for all; it goes to the next server after five seconds of silence.
 *
 *     clone_client SUBTREE PORT…
 *
 * Says each snapshot and update that it takes. Lines on its standard input: KEY VALUE TTL
 */
#include "mdp.h"
#include <inttypes.h>
#include <time.h>

#define SERVERS_MAX 2
#define SERVER_TTL_MS 5000
#define REQUESTS_MAX 2
#define FRAMES 5
#define UUID_BYTES 16

enum { KEY, NUMBER, UUID, PROPERTIES, VALUE };

typedef struct {
    int port;
    void *snapshot, *updates;
    int requests;
} server_t;

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t) time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static const char *endpoint(int port)
{
    static char text[64];
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", port);
    return text;
}

static uint64_t number_of(const message_t *message)
{
    uint64_t number = 0;
    assert(message->count == FRAMES && message->size[NUMBER] == 8);
    for (int index = 0; index < 8; index++)
        number = number << 8 | (unsigned char) message->data[NUMBER][index];
    return number;
}

static void say(const char *event, const server_t *server, const message_t *message)
{
    uint64_t number = number_of(message);
    printf("{\"event\": \"%s\", \"port\": %d, \"epoch\": %" PRIu64 ", \"counter\": %" PRIu64
           ", \"key\": \"%.*s\", \"value\": \"%.*s\"}\n",
           event, server->port, number >> 40, number & ((UINT64_C(1) << 40) - 1),
           (int) message->size[KEY], message->data[KEY],
           (int) message->size[VALUE], message->data[VALUE]);
    fflush(stdout);
}

/* KVSET: key, a number of zero, a uuid, properties, value. */
static void set(void *publisher, const char *key, const char *value, int ttl_s)
{
    static FILE *random;
    char uuid[UUID_BYTES], properties[32];
    static const char zero[8];

    if (!random)
        random = fopen("/dev/urandom", "rb");
    assert(random && fread(uuid, 1, UUID_BYTES, random) == UUID_BYTES);
    snprintf(properties, sizeof properties, "ttl=%d\n", ttl_s);
    send_text(publisher, key, 1);
    send_frame(publisher, zero, sizeof zero, 1);
    send_frame(publisher, uuid, UUID_BYTES, 1);
    send_text(publisher, properties, 1);
    send_text(publisher, value, 0);
}

static int set_line(void *publisher)
{
    char line[256], key[128], value[64];
    int ttl_s;

    if (!fgets(line, sizeof line, stdin))
        return -1;
    assert(sscanf(line, "%127s %63s %d", key, value, &ttl_s) == 3);
    set(publisher, key, value, ttl_s);
    return 0;
}

int main(int argc, char **argv)
{
    server_t servers[SERVERS_MAX] = {0};
    int count = argc - 2, current = 0;
    enum { INITIAL, SYNCING, ACTIVE } state = INITIAL;
    uint64_t sequence = 0;
    int64_t expiry = 0;
    message_t message;

    assert(count >= 1 && count <= SERVERS_MAX);
    setvbuf(stdin, NULL, _IONBF, 0);
    void *context = zmq_ctx_new();
    void *publisher = zmq_socket(context, ZMQ_PUB);
    zmq_setsockopt(publisher, ZMQ_LINGER, &(int) {0}, sizeof(int));
    for (int index = 0; index < count; index++) {
        server_t *server = &servers[index];
        server->port = atoi(argv[index + 2]);
        server->snapshot = open_socket(context, ZMQ_DEALER, endpoint(server->port));
        server->updates = open_socket(context, ZMQ_SUB, endpoint(server->port + 1));
        zmq_setsockopt(server->updates, ZMQ_SUBSCRIBE, argv[1], strlen(argv[1]));
        zmq_setsockopt(server->updates, ZMQ_SUBSCRIBE, "HUGZ", 4);
        int failed = zmq_connect(publisher, endpoint(server->port + 2));
        assert(!failed);
    }
    for (;;) {
        server_t *server = &servers[current];
        if (state == INITIAL) {
            if (server->requests < REQUESTS_MAX) {
                send_text(server->snapshot, "ICANHAZ?", 1);
                send_text(server->snapshot, argv[1], 0);
                server->requests++;
            }
            expiry = now_ms() + SERVER_TTL_MS;
            state = SYNCING;
        }
        void *socket = state == SYNCING ? server->snapshot : server->updates;
        zmq_pollitem_t items[] = {{NULL, 0, ZMQ_POLLIN, 0}, {socket, 0, ZMQ_POLLIN, 0}};
        int64_t left = expiry - now_ms();
        int ready = zmq_poll(items, 2, left < 0 ? 0 : (long) left);
        assert(ready >= 0);
        if (items[0].revents && set_line(publisher) < 0)
            break;
        if (items[1].revents) {
            int failed = receive(socket, &message);
            assert(!failed);
            expiry = now_ms() + SERVER_TTL_MS;
            if (state == SYNCING) {
                server->requests = 0;
                if (is(&message, KEY, "KTHXBAI", 7)) {
                    sequence = number_of(&message);
                    state = ACTIVE;
                    say("snapshot", server, &message);
                } else {
                    say("record", server, &message);
                }
            } else if (number_of(&message) > sequence) {
                sequence = number_of(&message);
                say("update", server, &message);
            }
        } else if (ready == 0) {
            current = (current + 1) % count;
            state = INITIAL;
        }
    }
    for (int index = 0; index < count; index++) {
        zmq_close(servers[index].snapshot);
        zmq_close(servers[index].updates);
    }
    zmq_close(publisher);
    zmq_ctx_term(context);
    return 0;
}
