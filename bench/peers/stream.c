/*
 * A publisher, or a subscriber, on libzmq, for bench/streams.ts. It obeys lines on its standard input:
 *
 *     stream pub ENDPOINT TOPICS SIZE          publish N | cpu
 *     stream sub ENDPOINT TOPIC [TOPIC ...]    count | until N
 *
 * and answers each with one line: "done"; the CPU time of all its threads in microseconds; the number of
 * messages received (when there are N) and that CPU time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#define HEADER_BYTES 24

static long long cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

static void unlimited(void *socket) {
  int none = 0;
  zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
  zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
  zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
}

static void publish(void *context, const char *endpoint, int topics, size_t size) {
  void *socket = zmq_socket(context, ZMQ_XPUB);
  unlimited(socket);
  if (zmq_bind(socket, endpoint) != 0) fail("bind");
  char header[HEADER_BYTES] = {0};
  char *body = calloc(1, size);
  char line[64], topic[16];
  uint64_t number = 0;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    /* Takes in the subscriptions that have come. */
    char subscription[512];
    while (zmq_recv(socket, subscription, sizeof subscription, ZMQ_DONTWAIT) >= 0) continue;
    if (strncmp(line, "cpu", 3) == 0) {
      printf("%lld\n", cpu_us());
    } else {
      long count = atol(line + strlen("publish "));
      for (long at = 0; at < count; at++) {
        int length = snprintf(topic, sizeof topic, "t%05d.", (int)(number % topics));
        number++;
        memcpy(header + 8, &number, sizeof number);
        memcpy(body, &number, sizeof number);
        if (zmq_send(socket, topic, length, ZMQ_SNDMORE) < 0) fail("send");
        zmq_send(socket, header, sizeof header, ZMQ_SNDMORE);
        zmq_send(socket, body, size, 0);
      }
      puts("done");
    }
    fflush(stdout);
  }
}

static atomic_long received;
static atomic_long sum;

static void *receive(void *socket) {
  zmq_msg_t part;
  zmq_msg_init(&part);
  int at = 0;
  for (;;) {
    if (zmq_msg_recv(&part, socket, 0) < 0) return NULL;
    if (zmq_msg_more(&part)) {
      at++;
      continue;
    }
    atomic_fetch_add_explicit(&sum, *(unsigned char *)zmq_msg_data(&part) + at,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&received, 1, memory_order_relaxed);
    at = 0;
  }
}

static void subscribe(void *context, const char *endpoint, int count, char **topics) {
  void *socket = zmq_socket(context, ZMQ_SUB);
  unlimited(socket);
  for (int at = 0; at < count; at++) {
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topics[at], strlen(topics[at]));
  }
  if (zmq_connect(socket, endpoint) != 0) fail("connect");
  pthread_t thread;
  pthread_create(&thread, NULL, receive, socket);
  puts("ready");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strncmp(line, "until ", 6) == 0) {
      long wanted = atol(line + 6);
      while (atomic_load(&received) < wanted) usleep(500);
    }
    printf("%ld %lld\n", atomic_load(&received), cpu_us());
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return 64;
  void *context = zmq_ctx_new();
  if (strcmp(argv[1], "pub") == 0) publish(context, argv[2], atoi(argv[3]), strtoul(argv[4], NULL, 10));
  else subscribe(context, argv[2], argc - 3, argv + 3);
  /* The process ends with its standard input. */
  exit(0);
}
