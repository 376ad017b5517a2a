/* The client side of 25/ZMTP-CURVE, on libsodium; compiled only if that is installed. */
#ifdef WITH_CURVE
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define KEY 32
#define MAC 16
#define NONCE 24
#define SHORT 8
#define COOKIE 96
#define VOUCH (16 + 2 * KEY + MAC)
#define MESSAGE_HEAD (8 + SHORT)

struct curve {
    uint8_t short_public[KEY], short_secret[KEY], shared[crypto_box_BEFORENMBYTES];
    uint8_t send_nonce[NONCE], receive_nonce[NONCE];
    uint64_t count;
};

static const uint8_t metadata[] = "\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";

bool curve_known(void) { return sodium_init() >= 0; }

static void big_endian(uint8_t *to, uint64_t value)
{
    for (int at = 0; at < 8; at++)
        to[at] = (uint8_t) (value >> (56 - 8 * at));
}

/* A nonce: a prefix of 16 characters and the next number, which is also written to `shown`. */
static void next_nonce(struct curve *curve, const char *prefix, uint8_t *nonce, uint8_t *shown)
{
    memcpy(nonce, prefix, 16);
    big_endian(nonce + 16, ++curve->count);
    memcpy(shown, nonce + 16, SHORT);
}

static void handshake_frame(struct connection *c, const uint8_t *command, size_t size)
{
    uint8_t head[9] = {size > 255 ? 6 : 4};

    if (size > 255)
        big_endian(head + 1, size);
    else
        head[1] = (uint8_t) size;
    append(c, head, size > 255 ? 9 : 2);
    append(c, command, size);
}

void curve_hello(struct connection *c)
{
    struct curve *curve = calloc(1, sizeof *curve);
    uint8_t hello[200] = "\5HELLO\1", nonce[NONCE];
    const uint8_t zeros[64] = {0};

    if (curve == NULL)
        die("out of memory");
    c->state = curve;
    crypto_box_keypair(curve->short_public, curve->short_secret);
    memcpy(hello + 80, curve->short_public, KEY);
    next_nonce(curve, "CurveZMQHELLO---", nonce, hello + 112);
    if (crypto_box_easy(hello + 120, zeros, sizeof zeros, nonce, options.server_key,
                        curve->short_secret) != 0)
        die("the server's key is none");
    handshake_frame(c, hello, sizeof hello);
}

static void initiate(struct connection *c, const uint8_t *welcome, size_t size)
{
    struct curve *curve = c->state;
    uint8_t opened[KEY + COOKIE], nonce[NONCE] = "WELCOME-";
    uint8_t command[9 + COOKIE + SHORT + MAC + KEY + VOUCH + sizeof metadata] = "\10INITIATE";
    uint8_t plain[KEY + VOUCH + sizeof metadata], vouched[2 * KEY];

    if (size != 168)
        die("a WELCOME of %zu bytes", size);
    memcpy(nonce + 8, welcome + 8, 16);
    if (crypto_box_open_easy(opened, welcome + 24, 144, nonce, options.server_key,
                             curve->short_secret) != 0)
        die("WELCOME cannot be opened");
    memcpy(vouched, curve->short_public, KEY);
    memcpy(vouched + KEY, options.server_key, KEY);
    crypto_scalarmult_base(plain, options.secret_key);
    memcpy(nonce, "VOUCH---", 8);
    randombytes_buf(nonce + 8, 16);
    memcpy(plain + KEY, nonce + 8, 16);
    if (crypto_box_easy(plain + KEY + 16, vouched, sizeof vouched, nonce, opened,
                        options.secret_key) != 0
        || crypto_box_beforenm(curve->shared, opened, curve->short_secret) != 0)
        die("the server's short-term key is none");
    memcpy(plain + KEY + VOUCH, metadata, sizeof metadata);
    memcpy(command + 9, opened + KEY, COOKIE);
    next_nonce(curve, "CurveZMQINITIATE", nonce, command + 9 + COOKIE);
    crypto_box_easy_afternm(command + 9 + COOKIE + SHORT, plain, sizeof plain, nonce,
                            curve->shared);
    handshake_frame(c, command, sizeof command);
    memcpy(curve->send_nonce, "CurveZMQMESSAGEC", 16);
    memcpy(curve->receive_nonce, "CurveZMQMESSAGES", 16);
    message_end(c);
}

void curve_step(struct connection *c, const uint8_t *command, size_t size)
{
    struct curve *curve = c->state;
    uint8_t nonce[NONCE] = "CurveZMQREADY---", plain[512];

    if (size >= 8 && memcmp(command, "\7WELCOME", 8) == 0) {
        initiate(c, command, size);
        return;
    }
    if (size < 14 + MAC || size > sizeof plain || memcmp(command, "\5READY", 6) != 0)
        die("neither WELCOME nor READY");
    memcpy(nonce + 16, command + 6, SHORT);
    if (crypto_box_open_easy_afternm(plain, command + 14, size - 14, nonce, curve->shared) != 0)
        die("READY cannot be opened");
}

void curve_seal(struct connection *c, const uint8_t *bytes, size_t size, bool more)
{
    struct curve *curve = c->state;
    size_t sealed = MESSAGE_HEAD + MAC + 1 + size, head = sealed > 255 ? 9 : 2;
    uint8_t *to = room(c, head + sealed);

    to[0] = head == 9 ? 2 : 0;
    if (head == 9)
        big_endian(to + 1, sealed);
    else
        to[1] = (uint8_t) sealed;
    to += head;
    memcpy(to, "\7MESSAGE", 8);
    big_endian(curve->send_nonce + 16, ++curve->count);
    memcpy(to + 8, curve->send_nonce + 16, SHORT);
    /* libsodium allows plain and sealed text to overlap. */
    uint8_t *plain = to + MESSAGE_HEAD + MAC;
    plain[0] = more ? 1 : 0;
    memcpy(plain + 1, bytes, size);
    crypto_box_easy_afternm(to + MESSAGE_HEAD, plain, size + 1, curve->send_nonce, curve->shared);
    wrote(c, head + sealed);
}

size_t curve_open(struct connection *c, const uint8_t *sealed, size_t size, uint8_t *plain,
                  uint8_t *flags)
{
    struct curve *curve = c->state;

    if (size < MESSAGE_HEAD + MAC + 1 || memcmp(sealed, "\7MESSAGE", 8) != 0)
        die("no MESSAGE");
    memcpy(curve->receive_nonce + 16, sealed + 8, SHORT);
    if (crypto_box_open_easy_afternm(plain, sealed + MESSAGE_HEAD, size - MESSAGE_HEAD,
                                     curve->receive_nonce, curve->shared)
        != 0)
        die("a MESSAGE that cannot be opened");
    size_t left = size - MESSAGE_HEAD - MAC - 1;
    *flags = plain[0];
    memmove(plain, plain + 1, left);
    return left;
}
#endif
