// Two engines that talk, with an attacker in the middle who is the input: for each datagram on its
// way it says deliver, lose, repeat, change a byte, replace by bytes of its own, or wait. Whatever
// happens, nothing may break, and both ends never hold different keys.
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "proto/dtls/dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum action {
    ACTION_DELIVER,
    ACTION_LOSE,
    ACTION_REPEAT,
    ACTION_CHANGE,
    ACTION_REPLACE,
    ACTION_WAIT,
    ACTION_SEND_DATA,
    ACTION_CLOSE,
    ACTION_COUNT
};

static struct certificate *make_certificate(void)
{
    struct random random;
    random_seeded_init(&random, 1);
    struct certificate *certificate;
    int result = certificate_make(
        &(struct certificate_request){ .common_name = "fuzz", .not_after_unix_s = 1900000000 },
        &random, &certificate);
    ensure(result == 0);
    return certificate;
}

/** Made once: making keys is slow. */
static struct dtls_context *shared_context(struct dtls_fingerprint *ret_fingerprint)
{
    static struct dtls_context *context;
    static struct dtls_fingerprint fingerprint;
    if (!context) {
        struct certificate *certificate = make_certificate();
        int result = dtls_fingerprint_parse(bytes_of_text("sha-256"),
                                            bytes_of_text(certificate_fingerprint(certificate)),
                                            &fingerprint);
        ensure(result == 0);
        result = dtls_context_new(certificate, NULL, &context);
        ensure(result == 0);
        certificate_unref(certificate);
    }
    *ret_fingerprint = fingerprint;
    return context;
}

static void give(struct dtls *dtls, uint64_t now_us, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size > 0)
        memcpy(copy, data, size);
    dtls_input(dtls, now_us, bytes_of(copy, size));
    free(copy);
    struct bytes received;
    while (dtls_data(dtls, &received))
        ensure(bytes_equal(received, bytes_of("data", 4)));
}

static void attack(struct reader *input, struct dtls *to, uint64_t *now_us, const uint8_t *data,
                   size_t size)
{
    uint8_t changed[2048];
    struct bytes own;
    switch (reader_u8(input) % ACTION_COUNT) {
    case ACTION_LOSE:
        break;
    case ACTION_REPEAT:
        give(to, *now_us, data, size);
        give(to, *now_us, data, size);
        break;
    case ACTION_CHANGE:
        memcpy(changed, data, size);
        changed[reader_u16(input) % size] ^= reader_u8(input);
        give(to, *now_us, changed, size);
        break;
    case ACTION_REPLACE:
        own = reader_bytes(input, reader_u8(input));
        give(to, *now_us, own.data, own.size);
        break;
    case ACTION_WAIT:
        *now_us += 1000u * reader_u16(input);
        give(to, *now_us, data, size);
        break;
    case ACTION_SEND_DATA:
        if (dtls_send(to, bytes_of("data", 4)) < 0)
            *now_us += 1;
        give(to, *now_us, data, size);
        break;
    case ACTION_CLOSE:
        dtls_close(to);
        break;
    default:
        give(to, *now_us, data, size);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dtls_fingerprint fingerprint;
    struct dtls_context *context = shared_context(&fingerprint);
    struct reader input = reader_of(data, size);
    uint64_t now_us = 1;
    struct dtls *peers[2];
    struct dtls_event connected[2];
    bool has_keys[2] = { false, false };
    for (size_t i = 0; i < 2; i++)
        peers[i] = dtls_new(&(struct dtls_config){ .context = context,
                                                   .client = i == 0,
                                                   .fingerprints = &fingerprint,
                                                   .fingerprint_count = 1 },
                            now_us);
    struct datagram_batch batch;
    datagram_batch_init(&batch, 64 << 10, 64);
    for (size_t turn = 0; turn < 60; turn++) {
        size_t who = turn & 1;
        struct net_path path = { 0 };
        dtls_output(peers[who], now_us, &path, &batch);
        struct datagram_cursor cursor = { 0 };
        const uint8_t *datagram;
        size_t datagram_size;
        while (datagram_batch_next(&batch, &cursor, &path, &datagram, &datagram_size))
            attack(&input, peers[1 - who], &now_us, datagram, datagram_size);
        datagram_batch_clear(&batch);
        struct dtls_event event;
        for (size_t i = 0; i < 2; i++) {
            while (dtls_event(peers[i], &event)) {
                if (event.kind == DTLS_CONNECTED) {
                    connected[i] = event;
                    has_keys[i] = true;
                }
            }
        }
        if (!dtls_has_output(peers[0]) && !dtls_has_output(peers[1]) && turn > 3) {
            uint64_t next_us = time_earlier(dtls_deadline(peers[0]), dtls_deadline(peers[1]));
            if (next_us == TIME_NEVER)
                break;
            now_us = max_of(now_us, next_us);
        }
        for (size_t i = 0; i < 2; i++)
            dtls_tick(peers[i], now_us);
    }
    if (has_keys[0] && has_keys[1])
        ensure(memcmp(connected[0].keys.local_key, connected[1].keys.remote_key, 32) == 0);
    datagram_batch_done(&batch);
    dtls_free(peers[0]);
    dtls_free(peers[1]);
    return 0;
}
