/**
 * STUN messages (RFC 8489), read in place and written into a buffer of the caller's. ICE and TURN
 * put their attributes on top; nothing here knows a transaction, a peer or a clock.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |0 0|     STUN Message Type     |         Message Length        |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                         Magic Cookie                          |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                     Transaction ID (96 bits)                  |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     then attributes, each padded to 4 bytes:
 *     |         Type                  |            Length             |
 *     |                         Value (variable)                ....
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "crypto/hmac.h"
#include "proto/stun/stun_attribute.h"

#define STUN_HEADER_SIZE           20
#define STUN_TRANSACTION_ID_SIZE   12
#define STUN_MAGIC_COOKIE          0x2112a442u
#define STUN_INTEGRITY_SIZE        20
#define STUN_INTEGRITY_SHA256_SIZE 32
/** XORed into the CRC of FINGERPRINT (section 14.7): "STUN". */
#define STUN_FINGERPRINT_XOR 0x5354554eu

enum stun_class {
    STUN_REQUEST = 0,
    STUN_INDICATION = 1,
    STUN_SUCCESS = 2,
    STUN_ERROR = 3,
};

enum stun_method {
    STUN_BINDING = 0x001,
    STUN_ALLOCATE = 0x003, // this and the following: RFC 8656
    STUN_REFRESH = 0x004,
    STUN_SEND = 0x006,
    STUN_DATA = 0x007,
    STUN_CREATE_PERMISSION = 0x008,
    STUN_CHANNEL_BIND = 0x009,
    STUN_CONNECT = 0x00a, // this and the following: RFC 6062
    STUN_CONNECTION_BIND = 0x00b,
    STUN_CONNECTION_ATTEMPT = 0x00c,
};

/** A parsed message: offsets into bytes that stay the caller's. Copy it freely. */
struct stun_message {
    struct bytes bytes;   /**< the whole message */
    uint16_t method;      /**< enum stun_method, or any other 12 bits */
    uint8_t class;        /**< enum stun_class */
    uint16_t end;         /**< where the attributes that count end (section 14.5) */
    uint16_t integrity;   /**< offset of the MESSAGE-INTEGRITY attribute, 0: none */
    uint16_t sha256;      /**< offset of MESSAGE-INTEGRITY-SHA256, 0: none */
    uint16_t sha256_size; /**< its length: 16 to 32 (section 14.6) */
    uint16_t fingerprint; /**< offset of FINGERPRINT, 0: none */
};

struct stun_attribute {
    uint16_t type; /**< enum stun_attribute_type, or any other */
    struct bytes value;
};

/** Walks attributes; start with a zeroed cursor. */
struct stun_cursor {
    uint16_t at;
};

/**
 * Whether these first bytes of a datagram can only be a STUN message: leading zero bits, magic
 * cookie, and a length that fills the datagram (RFC 7983, RFC 8489 section 6.3). Cheap: for demux.
 */
bool stun_message_is(const uint8_t *data, size_t size);
/**
 * On a byte stream: the whole size of the message whose first bytes these are. Returns it, 0 when
 * `size` < 20 (more bytes are needed), or -EBADMSG when no STUN message starts here.
 */
must_check int stun_message_stream_size(const uint8_t *data, size_t size);
/**
 * Checks header and attribute framing of one whole message. FINGERPRINT must be last and four bytes
 * long, MESSAGE-INTEGRITY 20 bytes; attributes behind an integrity attribute are left out, as
 * section 14.5 asks. Neither code is verified here. Returns 0 or -EBADMSG.
 */
must_check int stun_message_parse(struct bytes datagram, struct stun_message *ret_message);

static inline const uint8_t *stun_message_transaction_id(const struct stun_message *message)
{
    return message->bytes.data + 8;
}

/**
 * The next attribute that counts; false at the end. The integrity attributes and FINGERPRINT are
 * not among them: they have their own checks.
 */
bool stun_message_next(const struct stun_message *message, struct stun_cursor *cursor,
                       struct stun_attribute *ret_attribute);
/** The value of the first attribute of `type` (section 14: later ones are ignored). */
bool stun_message_find(const struct stun_message *message, uint16_t type, struct bytes *ret_value);
/** The same for values of exactly 4 or 8 bytes. Return 0, -ENOENT, or -EBADMSG for a wrong size. */
must_check int stun_message_find_u32(const struct stun_message *message, uint16_t type,
                                     uint32_t *ret_value);
must_check int stun_message_find_u64(const struct stun_message *message, uint16_t type,
                                     uint64_t *ret_value);
/**
 * An address attribute; the types whose name starts with XOR are unmasked (sections 14.1, 14.2).
 * Returns 0, -ENOENT or -EBADMSG.
 */
must_check int stun_message_find_address(const struct stun_message *message, uint16_t type,
                                         struct net_address *ret_address);
/** The same for one attribute found by stun_message_next. Returns 0 or -EBADMSG. */
must_check int stun_attribute_address(const struct stun_message *message,
                                      const struct stun_attribute *attribute,
                                      struct net_address *ret_address);
/**
 * ERROR-CODE (section 14.8). Returns 0, -ENOENT or -EBADMSG. `ret_reason` may be NULL; it views the
 * message and is whatever the sender wrote.
 */
must_check int stun_message_find_error(const struct stun_message *message, uint16_t *ret_code,
                                       struct bytes *ret_reason);
/**
 * Collects the comprehension-required attributes (below 0x8000) that are not in `known`, as an
 * answer 420 must list them. Returns how many there are, at most `capacity`.
 */
size_t stun_message_unknown(const struct stun_message *message, const uint16_t *known,
                            size_t known_count, uint16_t *ret_types, size_t capacity);

/** Verifies FINGERPRINT. Returns 0, -ENOENT when there is none, -EBADMSG when it is wrong. */
must_check int stun_message_check_fingerprint(const struct stun_message *message);
/**
 * Verifies MESSAGE-INTEGRITY (HMAC-SHA1) in constant time. `key`: the password for short-term
 * credentials, stun_long_term_key otherwise. Returns 0, -ENOENT or -EBADMSG.
 */
must_check int stun_message_check_integrity(const struct stun_message *message, struct bytes key);
/** The same for MESSAGE-INTEGRITY-SHA256, possibly truncated to 16 bytes or more. */
must_check int stun_message_check_integrity_sha256(const struct stun_message *message,
                                                   struct bytes key);

/** The same two with a prepared key (HASH_SHA1, HASH_SHA256): half the work for short messages. */
must_check int stun_message_check_integrity_key(const struct stun_message *message,
                                                const struct hmac_key *key);
must_check int stun_message_check_integrity_sha256_key(const struct stun_message *message,
                                                       const struct hmac_key *key);

/**
 * The key of long-term credentials (section 9.2.2): MD5 or SHA-256 of "username:realm:password".
 * The texts are taken as they are: OpaqueString processing is the caller's.
 */
void stun_long_term_key(struct bytes username, struct bytes realm, struct bytes password,
                        uint8_t out[HASH_MD5_SIZE]);
void stun_long_term_key_sha256(struct bytes username, struct bytes realm, struct bytes password,
                               uint8_t out[HASH_SHA256_SIZE]);
/** USERHASH (section 14.4): SHA-256 of "username:realm". */
void stun_userhash(struct bytes username, struct bytes realm, uint8_t out[HASH_SHA256_SIZE]);

/** CRC-32 as FINGERPRINT uses it (ITU V.42), without the XOR. */
uint32_t stun_crc32(struct bytes bytes);

/**
 * Writes one message. Errors stick: look at the result of stun_writer_finish only.
 *
 *     struct stun_writer writer;
 *     stun_writer_start(&writer, at, capacity, STUN_SUCCESS, STUN_BINDING, transaction_id);
 *     stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, &from);
 *     stun_write_integrity(&writer, key);
 *     stun_write_fingerprint(&writer);
 *     size = stun_writer_finish(&writer);
 */
struct stun_writer {
    struct writer out;
};

void stun_writer_start(struct stun_writer *writer, void *out, size_t capacity,
                       enum stun_class class, uint16_t method,
                       const uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE]);
/** An attribute of any value, padded with zeros. */
void stun_write_bytes(struct stun_writer *writer, uint16_t type, struct bytes value);
/** An attribute without value, as USE-CANDIDATE. */
void stun_write_flag(struct stun_writer *writer, uint16_t type);
void stun_write_u32(struct stun_writer *writer, uint16_t type, uint32_t value);
void stun_write_u64(struct stun_writer *writer, uint16_t type, uint64_t value);
/** An address; masked when `type` is one of the XOR types. */
void stun_write_address(struct stun_writer *writer, uint16_t type,
                        const struct net_address *address);
/** ERROR-CODE with the reason phrase of stun_error_reason. `code`: 300 to 699. */
void stun_write_error(struct stun_writer *writer, uint16_t code);
/** UNKNOWN-ATTRIBUTES (section 14.13). */
void stun_write_unknown(struct stun_writer *writer, const uint16_t *types, size_t count);
/** MESSAGE-INTEGRITY over all written so far. */
void stun_write_integrity(struct stun_writer *writer, struct bytes key);
/** MESSAGE-INTEGRITY-SHA256 (not truncated) over all written so far. */
void stun_write_integrity_sha256(struct stun_writer *writer, struct bytes key);
/** The same two with a prepared key. */
void stun_write_integrity_key(struct stun_writer *writer, const struct hmac_key *key);
void stun_write_integrity_sha256_key(struct stun_writer *writer, const struct hmac_key *key);
/** FINGERPRINT over all written so far; nothing may follow. */
void stun_write_fingerprint(struct stun_writer *writer);
/** The size of the whole message, or 0 when it did not fit. */
size_t stun_writer_finish(const struct stun_writer *writer);

/** The phrase that belongs to an error code; "Error" for one we do not know. */
const char *stun_error_reason(uint16_t code);
