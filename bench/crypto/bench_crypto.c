// links: proto/srtp proto/dtls crypto base
//
// Prints what one core pays per operation of crypto/, proto/srtp and proto/dtls, always the same
// table. Best of several rounds, so that a busy machine disturbs little.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "crypto/tls.h"
#include "proto/dtls/dtls.h"
#include "proto/srtp/secure_rtp.h"

#define PACKET_SIZE 1200
#define PAYLOADS    512 // 600 KB: a ring that the second-level cache holds, as a room's would be
#define ROUNDS      7

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct bench {
    uint8_t payloads[PAYLOADS][PACKET_SIZE];
    uint8_t out[PAYLOADS][PACKET_SIZE + 64];
    struct random random;
    const struct cipher_provider *provider;
};

/** Runs `body` PAYLOADS * 40 times a round and prints the best round's µs per operation. */
static void report(const char *what, struct bench *bench, void (*body)(struct bench *, size_t),
                   size_t count)
{
    uint64_t best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began_ns = now_ns();
        body(bench, count);
        best_ns = min_of(best_ns, now_ns() - began_ns);
    }
    printf("%-58s %8.3f us\n", what, (double)best_ns / (double)count / 1000);
}

// The ciphers alone.

static struct aead *aead;
static void seal_packets(struct bench *bench, size_t count)
{
    static uint64_t counter;
    for (size_t i = 0; i < count; i++) {
        uint8_t iv[AEAD_IV_SIZE] = { 0 };
        store_u64(iv, counter++);
        aead_seal(aead, iv, bytes_of(bench->payloads[0], 20),
                  bytes_of(bench->payloads[i % PAYLOADS], PACKET_SIZE), bench->out[i % PAYLOADS]);
    }
}

static struct hmac_key hmac_key;
static void hmac_packets(struct bench *bench, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct hmac hmac;
        hmac_begin(&hmac, &hmac_key);
        hmac_add(&hmac, bytes_of(bench->payloads[i % PAYLOADS], PACKET_SIZE));
        hmac_end(&hmac, bench->out[i % PAYLOADS]);
    }
}

static void hmac_stun(struct bench *bench, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hmac_sha1(bytes_of(bench->payloads[0], 24), bytes_of(bench->payloads[i % PAYLOADS], 100),
                  bench->out[i % PAYLOADS]);
}

// SRTP.

static struct secure_rtp_session *session;
static struct secure_rtp_session *receiving;
static struct secure_rtp_sender sender;
static uint16_t sequence;
static size_t payload_size;

static struct secure_rtp_session *session_new(const struct bench *bench, uint16_t profile)
{
    struct secure_rtp_config config = {
        .profile = profile,
        .master_key = bytes_of(bench->payloads[0], secure_rtp_key_size(profile)),
        .master_salt = bytes_of(bench->payloads[1], secure_rtp_salt_size(profile)),
        .provider = bench->provider,
    };
    struct secure_rtp_session *made;
    int result = secure_rtp_session_new(&config, &made);
    ensure(result == 0);
    return made;
}

static ssize_t protect_one(struct bench *bench, size_t i)
{
    uint8_t header[20] = { 0x90, 96, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xbe, 0xde, 0, 1 };
    store_u16(header + 2, sequence++);
    return secure_rtp_protect(session, &sender, bytes_of(header, sizeof(header)),
                              bytes_of(bench->payloads[i % PAYLOADS], payload_size - 20),
                              bench->out[i % PAYLOADS], sizeof(bench->out[0]));
}

static void protect_packets(struct bench *bench, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ensure(protect_one(bench, i) > 0);
}

static void protect_and_unprotect(struct bench *bench, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ssize_t size = protect_one(bench, i);
        ensure(size > 0);
        uint8_t opened[PACKET_SIZE + 64];
        ssize_t plain =
            secure_rtp_unprotect(receiving, bytes_of(bench->out[i % PAYLOADS], (size_t)size),
                                 opened, sizeof(opened), NULL);
        ensure(plain > 0);
    }
}

static void measure_srtp(struct bench *bench, uint16_t profile, const char *name)
{
    char what[100];
    sequence = 0;
    sender = (struct secure_rtp_sender){ 0 };
    session = session_new(bench, profile);
    receiving = session_new(bench, profile);
    static const size_t sizes[] = { PACKET_SIZE, 200 };
    for (size_t i = 0; i < array_size(sizes); i++) {
        payload_size = sizes[i];
        snprintf(what, sizeof(what), "SRTP protect %4zu bytes, %s, %s", sizes[i], name,
                 cipher_provider_name(bench->provider));
        report(what, bench, protect_packets, PAYLOADS * 40);
    }
    payload_size = PACKET_SIZE;
    sequence = 0; // a receiver expects a rollover counter of 0
    sender = (struct secure_rtp_sender){ 0 };
    snprintf(what, sizeof(what), "SRTP protect + unprotect, %s", name);
    report(what, bench, protect_and_unprotect, PAYLOADS * 20);
    secure_rtp_session_free(session);
    secure_rtp_session_free(receiving);
}

static void make_sessions(struct bench *bench, size_t count)
{
    for (size_t i = 0; i < count; i++)
        secure_rtp_session_free(session_new(bench, SECURE_RTP_AEAD_AES_128_GCM));
}

// DTLS: two engines against each other, so both sides' work.

static struct certificate *certificate;
static struct dtls_context *context;
static struct dtls *peers[2];

static void connect_peers(void)
{
    struct dtls_fingerprint fingerprint;
    int result =
        dtls_fingerprint_parse(bytes_of_text("sha-256"),
                               bytes_of_text(certificate_fingerprint(certificate)), &fingerprint);
    ensure(result == 0);
    struct datagram_batch batch;
    datagram_batch_init(&batch, 32 << 10, 16);
    for (size_t i = 0; i < 2; i++)
        peers[i] = dtls_new(&(struct dtls_config){ .context = context,
                                                   .client = i == 0,
                                                   .fingerprints = &fingerprint,
                                                   .fingerprint_count = 1 },
                            1);
    for (size_t turn = 0; !(dtls_connected(peers[0]) && dtls_connected(peers[1])); turn++) {
        ensure(turn < 20);
        struct net_path path = { 0 };
        dtls_output(peers[turn & 1], 1, &path, &batch);
        struct datagram_cursor cursor = { 0 };
        const uint8_t *data;
        size_t size;
        while (datagram_batch_next(&batch, &cursor, &path, &data, &size))
            dtls_input(peers[1 - (turn & 1)], 1, bytes_of(data, size));
        datagram_batch_clear(&batch);
    }
    datagram_batch_done(&batch);
}

static void handshakes(struct bench *bench, size_t count)
{
    (void)bench;
    for (size_t i = 0; i < count; i++) {
        connect_peers();
        dtls_free(peers[0]);
        dtls_free(peers[1]);
    }
}

static void measure_memory(struct bench *bench)
{
    enum { COUNT = 200 };
    static struct dtls *kept[2 * COUNT];
    static struct secure_rtp_session *sessions[2 * COUNT];
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < COUNT; i++) {
        connect_peers();
        kept[2 * i] = peers[0];
        kept[2 * i + 1] = peers[1];
    }
    size_t after_dtls = mallinfo2().uordblks;
    for (size_t i = 0; i < 2 * COUNT; i++)
        sessions[i] = session_new(bench, SECURE_RTP_AEAD_AES_128_GCM);
    size_t after_srtp = mallinfo2().uordblks;
    printf("%-58s %8zu bytes\n", "DTLS after the handshake, per peer",
           (after_dtls - before) / (2 * COUNT));
    printf("%-58s %8zu bytes\n", "SRTP session, per direction (AEAD_AES_128_GCM)",
           (after_srtp - after_dtls) / (2 * COUNT));
    for (size_t i = 0; i < 2 * COUNT; i++) {
        dtls_free(kept[i]);
        secure_rtp_session_free(sessions[i]);
    }
}

int main(void)
{
    struct bench *bench = memory_new(struct bench);
    random_seeded_init(&bench->random, 1);
    random_fill(&bench->random, bench->payloads, sizeof(bench->payloads));
    hmac_key_init(&hmac_key, HASH_SHA1, bytes_of(bench->payloads[0], 20));
    struct cipher_provider *providers[] = { cipher_provider_new(CIPHER_OPENSSL),
                                            cipher_provider_new(CIPHER_BEST) };
    report("HMAC-SHA1 of 1200 bytes, kept key", bench, hmac_packets, PAYLOADS * 20);
    report("HMAC-SHA1 of 100 bytes, key of 24 bytes (STUN)", bench, hmac_stun, PAYLOADS * 40);
    for (size_t i = 0; i < 2; i++) {
        bench->provider = providers[i];
        for (size_t key_size = 16; key_size <= 32; key_size += 16) {
            char what[100];
            snprintf(what, sizeof(what), "AES-%zu-GCM seal 1200 bytes, %s", key_size * 8,
                     cipher_provider_name(providers[i]));
            aead = aead_new(providers[i], bytes_of(bench->payloads[0], key_size));
            report(what, bench, seal_packets, PAYLOADS * 40);
            aead_free(aead);
        }
        measure_srtp(bench, SECURE_RTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM");
    }
    measure_srtp(bench, SECURE_RTP_AEAD_AES_256_GCM, "AEAD_AES_256_GCM");
    measure_srtp(bench, SECURE_RTP_AES_CM_128_HMAC_SHA1_80, "AES_CM_128_HMAC_SHA1_80");
    report("SRTP session: key derivation and set-up", bench, make_sessions, 2000);

    struct certificate_request request = { .common_name = "bench",
                                           .not_before_unix_s = 1700000000,
                                           .not_after_unix_s = 1900000000 };
    int result = certificate_make(&request, &bench->random, &certificate);
    ensure(result == 0);
    result = dtls_context_new(certificate, NULL, &context);
    ensure(result == 0);
    report("DTLS handshake, both sides", bench, handshakes, 100);
    measure_memory(bench);
    dtls_context_unref(context);
    certificate_unref(certificate);
    cipher_provider_free(providers[0]);
    cipher_provider_free(providers[1]);
    free(bench);
    return 0;
}
