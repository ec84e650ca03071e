/** Records of DTLS 1.2, and their protection after the handshake. Private to this folder. */
#pragma once

#include "base/bytes.h"
#include "base/replay_window.h"
#include "crypto/aead.h"
#include "crypto/dtls.h"

enum record_type {
    RECORD_CHANGE_CIPHER_SPEC = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_APPLICATION_DATA = 23,
};

#define RECORD_HEADER_SIZE  13
#define RECORD_NONCE_SIZE   8 // the part of the nonce that is sent (RFC 5288, 3)
#define RECORD_OVERHEAD     (RECORD_HEADER_SIZE + RECORD_NONCE_SIZE + AEAD_TAG_SIZE)
#define RECORD_PLAIN_MAX    (1u << 14)
#define RECORD_WINDOW_WORDS 4
#define RECORD_SEQUENCE_MAX 0xffffffffffffull

struct record {
    enum record_type type;
    uint16_t epoch;
    uint64_t sequence;
    struct bytes body;
    struct bytes whole; // with its header
};

/**
 * Takes the next record of a datagram. Returns 0, or -EINVAL when what follows is not a record of
 * DTLS 1.0 or 1.2: the rest of the datagram is lost then.
 */
must_check int record_parse(struct reader *datagram, struct record *ret_record);

/**
 * Keys of epoch 1 in use. Most associations only ever see a close_notify, so the key schedules (a
 * kilobyte each) are made when the first record comes.
 */
struct record_layer {
    const struct cipher_provider *provider;
    struct aead *sealer;
    struct aead *opener;
    size_t key_size;
    uint8_t seal_key[32];
    uint8_t open_key[32];
    uint8_t seal_salt[4];
    uint8_t open_salt[4];
    uint64_t next_sequence;
    struct replay_window window;
    uint64_t seen[RECORD_WINDOW_WORDS];
};

void record_layer_init(struct record_layer *layer, const struct dtls_record_keys *keys, bool client,
                       const struct cipher_provider *provider);
/** Accepts a zeroed layer. */
void record_layer_done(struct record_layer *layer);
/** Writes one record of plain.size + RECORD_OVERHEAD bytes. Returns 0 or -EKEYEXPIRED. */
must_check int record_seal(struct record_layer *layer, enum record_type type, struct bytes plain,
                           uint8_t *out);
/**
 * Opens a record of epoch 1 to `out`, of body.size bytes at least. Returns the plain size,
 * -EINVAL, -EALREADY, -ESTALE or -EBADMSG.
 */
must_check int record_open(struct record_layer *layer, const struct record *record, uint8_t *out);
