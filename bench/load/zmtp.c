/* 23/ZMTP 3.0 as a DEALER that connects: NULL here, CURVE in curve.c. */
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define GREETING_BYTES 64
#define MORE 1
#define LONG 2
#define COMMAND 4

enum { GREETING, HANDSHAKE, TRAFFIC };

void zmtp_opened(struct connection *c)
{
    uint8_t greeting[GREETING_BYTES] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0};

    memcpy(greeting + 12, options.server_key != NULL ? "CURVE" : "NULL",
           options.server_key != NULL ? 5 : 4);
    append(c, greeting, sizeof greeting);
    message_end(c);
}

static void command(struct connection *c, const uint8_t *at, size_t size)
{
    if (c->phase == TRAFFIC)
        return;
    if (size >= 6 && memcmp(at, "\5ERROR", 6) == 0)
        die("the broker refused the handshake");
    if (options.server_key != NULL) {
        curve_step(c, at, size);
        if (size < 6 || memcmp(at, "\5READY", 6) != 0)
            return;
    } else if (size < 6 || memcmp(at, "\5READY", 6) != 0) {
        die("no READY in the handshake");
    }
    c->phase = TRAFFIC;
    options.protocol->ready(c);
}

static void greeted(struct connection *c)
{
    static const uint8_t ready[] = "\4\51\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";

    c->phase = HANDSHAKE;
    if (options.server_key != NULL)
        curve_hello(c);
    else
        append(c, ready, sizeof ready);
    message_end(c);
}

/* The offset of the frame's body, 0 if its head is incomplete; sets the body's size. */
static size_t head(const uint8_t *bytes, size_t left, size_t *size)
{
    if (left < 2 || ((bytes[0] & LONG) && left < 9))
        return 0;
    if (!(bytes[0] & LONG)) {
        *size = bytes[1];
        return 2;
    }
    *size = 0;
    for (int at = 1; at <= 8; at++)
        *size = *size << 8 | bytes[at];
    return 9;
}

/*
 * Sealed frames can be opened only once: their plain text waits here until the message is complete.
 */
struct opened {
    uint8_t *plain;
    size_t used, room;
    size_t sizes[FRAMES_MAX];
    unsigned count;
};

static void sealed(struct connection *c, const uint8_t *bytes, size_t size)
{
    static struct opened *by_fd;
    static int by_fd_count;
    struct frame frames[FRAMES_MAX];
    uint8_t flags = 0;

    if (c->fd >= by_fd_count) {
        by_fd = realloc(by_fd, (size_t) (c->fd + 64) * sizeof *by_fd);
        if (by_fd == NULL)
            die("out of memory");
        memset(by_fd + by_fd_count, 0, (size_t) (c->fd + 64 - by_fd_count) * sizeof *by_fd);
        by_fd_count = c->fd + 64;
    }
    struct opened *opened = &by_fd[c->fd];
    if (opened->used + size > opened->room) {
        opened->room = (opened->used + size) * 2;
        opened->plain = realloc(opened->plain, opened->room);
        if (opened->plain == NULL)
            die("out of memory");
    }
    size_t plain = curve_open(c, bytes, size, opened->plain + opened->used, &flags);
    if (flags & 2)
        return;
    if (opened->count == FRAMES_MAX)
        die("a message of too many frames");
    opened->sizes[opened->count++] = plain;
    opened->used += plain;
    if (flags & MORE)
        return;
    const uint8_t *at = opened->plain;
    for (unsigned index = 0; index < opened->count; index++) {
        frames[index] = (struct frame){at, opened->sizes[index]};
        at += opened->sizes[index];
    }
    unsigned count = opened->count;
    opened->count = 0;
    opened->used = 0;
    options.protocol->message(c, frames, count);
}

size_t zmtp_consume(struct connection *c, const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    if (c->phase == GREETING) {
        if (size < GREETING_BYTES)
            return 0;
        if (bytes[0] != 0xff || bytes[10] < 3)
            die("no ZMTP 3");
        greeted(c);
        at = GREETING_BYTES;
    }
    while (at < size) {
        struct frame frames[FRAMES_MAX];
        unsigned count = 0;
        size_t next = at;
        for (;;) {
            size_t body_size, body_at = head(bytes + next, size - next, &body_size);
            if (body_at == 0 || body_size > size - next - body_at)
                return at;
            uint8_t flags = bytes[next];
            const uint8_t *from = bytes + next + body_at;
            next += body_at + body_size;
            if (c->phase == TRAFFIC && options.server_key != NULL) {
                sealed(c, from, body_size);
                break;
            }
            if (flags & COMMAND) {
                command(c, from, body_size);
                break;
            }
            if (c->phase != TRAFFIC || count == FRAMES_MAX)
                die("a message that is out of place or of too many frames");
            frames[count++] = (struct frame){from, body_size};
            if (!(flags & MORE)) {
                options.protocol->message(c, frames, count);
                break;
            }
        }
        at = next;
    }
    return at;
}

void zmtp_frame(struct connection *c, const void *bytes, size_t size, bool more)
{
    if (options.server_key != NULL) {
        curve_seal(c, bytes, size, more);
        return;
    }
    uint8_t *to = room(c, size + 9);
    if (size <= 255) {
        to[0] = more ? MORE : 0;
        to[1] = (uint8_t) size;
        to += 2;
        wrote(c, size + 2);
    } else {
        to[0] = more ? MORE | LONG : LONG;
        for (int at = 1; at <= 8; at++)
            to[at] = (uint8_t) ((uint64_t) size >> (64 - 8 * at));
        to += 9;
        wrote(c, size + 9);
    }
    memcpy(to, bytes, size);
}

#ifndef WITH_CURVE
bool curve_known(void) { return false; }
void curve_hello(struct connection *c) { (void) c; }
void curve_step(struct connection *c, const uint8_t *command, size_t size)
{
    (void) c, (void) command, (void) size;
}
void curve_seal(struct connection *c, const uint8_t *bytes, size_t size, bool more)
{
    (void) c, (void) bytes, (void) size, (void) more;
}
size_t curve_open(struct connection *c, const uint8_t *sealed, size_t size, uint8_t *plain,
                  uint8_t *flags)
{
    (void) c, (void) sealed, (void) size, (void) plain, (void) flags;
    return 0;
}
#endif
