/* peer TYPE ENDPOINT COUNT BYTES: sends messages of several frames over libzmq, checks their echo.
   One JSON object a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

static void send_frame(void *socket, const void *bytes, size_t size, int more) {
  if (zmq_send(socket, bytes, size, more ? ZMQ_SNDMORE : 0) < 0) fail("send");
}

static void expect_frame(void *socket, const void *bytes, size_t size, int more) {
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, socket, 0) < 0) fail("receive");
  if (zmq_msg_size(&frame) != size || memcmp(zmq_msg_data(&frame), bytes, size) != 0 ||
      zmq_msg_more(&frame) != more) {
    fprintf(stderr, "a frame that was not sent\n");
    exit(1);
  }
  zmq_msg_close(&frame);
}

int main(int argc, char **argv) {
  if (argc != 5) return 64;
  int is_router = strcmp(argv[1], "ROUTER") == 0;
  int type = is_router ? ZMQ_ROUTER : strcmp(argv[1], "REQ") == 0 ? ZMQ_REQ : ZMQ_DEALER;
  int count = atoi(argv[3]);
  size_t size = (size_t)atol(argv[4]);
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, type);
  int linger = 0, timeout = 60000;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
  if (is_router) zmq_setsockopt(socket, ZMQ_CONNECT_ROUTING_ID, "broker", 6);
  if (zmq_connect(socket, argv[2]) != 0) fail("connect");
  char *body = malloc(size);
  for (int index = 0; index < count; index++) {
    memset(body, index & 0xff, size);
    if (is_router) send_frame(socket, "broker", 6, 1);
    send_frame(socket, "", 0, 1);
    send_frame(socket, body, size, 1);
    send_frame(socket, "last", 4, 0);
    if (is_router) expect_frame(socket, "broker", 6, 1);
    expect_frame(socket, "", 0, 1);
    expect_frame(socket, body, size, 1);
    expect_frame(socket, "last", 4, 0);
  }
  printf("{\"event\": \"done\", \"count\": %d}\n", count);
  fflush(stdout);
  zmq_close(socket);
  zmq_ctx_term(context);
  free(body);
  return 0;
}
