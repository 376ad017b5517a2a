/* MDP 0.1 on CZMQ: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
   With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE. */
#include <czmq.h>

/* An empty frame, the header and the command. */
static zmsg_t *command(const char *code)
{
    zmsg_t *message = zmsg_new();
    zmsg_addmem(message, "", 0);
    zmsg_addstr(message, "MDPW01");
    zmsg_addmem(message, code, 1);
    return message;
}

static void send_message(zsock_t *socket, zmsg_t *message)
{
    int failed = zmsg_send(&message, socket);
    assert(failed == 0);
}

static zsock_t *connected(int type, const char *endpoint, int timeout_ms)
{
    zsock_t *socket = zsock_new(type);
    assert(socket);
    zsock_set_linger(socket, 5000);
    zsock_set_rcvtimeo(socket, timeout_ms);
    if (getenv("MDP_SERVER_KEY")) {
        zsock_set_curve_serverkey(socket, getenv("MDP_SERVER_KEY"));
        zsock_set_curve_publickey(socket, getenv("MDP_PUBLIC_KEY"));
        zsock_set_curve_secretkey(socket, getenv("MDP_SECRET_KEY"));
    }
    int failed = zsock_connect(socket, "%s", endpoint);
    assert(failed == 0);
    return socket;
}

static void worker(const char *endpoint, const char *service, int count)
{
    zsock_t *socket = connected(ZMQ_DEALER, endpoint, 1000);
    zmsg_t *ready = command("\x01");
    zmsg_addstr(ready, service);
    send_message(socket, ready);
    while (count > 0) {
        zmsg_t *message = zmsg_recv(socket);
        if (message == NULL) {
            send_message(socket, command("\x04"));
            continue;
        }
        for (int known = 0; known < 2; known++) {
            zframe_t *frame = zmsg_pop(message);
            zframe_destroy(&frame);
        }
        zframe_t *code = zmsg_pop(message);
        if (*zframe_data(code) == 2) {
            zframe_t *client = zmsg_pop(message);
            zframe_t *empty = zmsg_pop(message);
            zmsg_t *reply = command("\x03");
            zmsg_append(reply, &client);
            zmsg_append(reply, &empty);
            zmsg_addstr(reply, "czmq");
            for (zframe_t *frame = zmsg_pop(message); frame; frame = zmsg_pop(message))
                zmsg_append(reply, &frame);
            send_message(socket, reply);
            count--;
        }
        zframe_destroy(&code);
        zmsg_destroy(&message);
    }
    send_message(socket, command("\x05"));
    zsock_destroy(&socket);
}

static void client(const char *endpoint, const char *service, int frames, char **body)
{
    zsock_t *socket = connected(ZMQ_REQ, endpoint, 60000);
    zmsg_t *request = zmsg_new();
    zmsg_addstr(request, "MDPC01");
    zmsg_addstr(request, service);
    for (int index = 0; index < frames; index++) zmsg_addstr(request, body[index]);
    send_message(socket, request);
    zmsg_t *reply = zmsg_recv(socket);
    assert(reply);
    printf("{\"event\":\"reply\",\"frames\":[");
    const char *before = "";
    for (char *text = zmsg_popstr(reply); text; text = zmsg_popstr(reply)) {
        printf("%s\"%s\"", before, text);
        before = ",";
        freen(text);
    }
    printf("]}\n");
    zmsg_destroy(&reply);
    zsock_destroy(&socket);
}

int main(int argc, char **argv)
{
    assert(argc > 4);
    if (streq(argv[1], "worker")) worker(argv[2], argv[3], atoi(argv[4]));
    else client(argv[2], argv[3], argc - 4, argv + 4);
    return 0;
}
