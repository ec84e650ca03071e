/**
 * The record layer of a TLS 1.3 connection after its handshake (RFC 8446, 5), for the AES-GCM
 * suites: what OpenSSL keeps for a connection is some 14 KB, this is less than 200 bytes. The
 * handshake is OpenSSL's. For tls_stream.c alone.
 */
#pragma once

#include "crypto/byte_queue_int.h"

#include "crypto/aead.h"

#define TLS_SECRET_SIZE_MAX 48
/** What one record carries (5.1). */
#define TLS_PLAIN_SIZE_MAX (16u << 10)

/** Descriptions of alerts (6). */
enum tls_alert {
    TLS_ALERT_CLOSE_NOTIFY = 0,
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_BAD_RECORD_MAC = 20,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_USER_CANCELED = 90,
};

/** One direction. */
struct tls_direction {
    uint8_t secret[TLS_SECRET_SIZE_MAX]; /**< of the traffic: the next keys follow from it */
    uint8_t key[AEAD_KEY_SIZE_MAX];
    uint8_t iv[AEAD_IV_SIZE];
    uint64_t sequence; /**< of the next record */
};

struct tls_records {
    const struct cipher_provider *provider;
    struct tls_direction in;
    struct tls_direction out;
    uint8_t secret_size; /**< 32: AES-128-GCM with SHA-256, 48: AES-256-GCM with SHA-384 */
    /** The record at the front of the input is decrypted: content not read, and what is behind. */
    uint16_t plain_size;
    uint16_t trailer_size;
    uint8_t idle_count; /**< records without data that came since the last one with some */
    bool answer_due;    /**< the peer wants our keys changed, too */
};

enum tls_record_result {
    TLS_RECORD_DATA,   /**< there is content to read */
    TLS_RECORD_NONE,   /**< more input is needed */
    TLS_RECORD_CLOSED, /**< the peer's close_notify */
    TLS_RECORD_FAILED, /**< `ret_problem` tells; an alert is in the output */
};

/**
 * Begins with the first application traffic secrets; `sent` records were sealed with that of the
 * way out already. The provider must outlive it.
 */
void tls_records_init(struct tls_records *records, const struct cipher_provider *provider,
                      struct bytes secret_in, struct bytes secret_out, uint64_t sent);
/**
 * Decrypts the record at the front of the input, in place, and handles those that carry no data.
 * Alerts go to the output; a KeyUpdate is answered by the next tls_records_write.
 */
enum tls_record_result tls_records_next(struct tls_records *records, struct byte_queue *input,
                                        struct byte_queue *output, const char **ret_problem);
/** After TLS_RECORD_DATA: takes up to `capacity` bytes of the content. */
size_t tls_records_read(struct tls_records *records, struct byte_queue *input, void *out,
                        size_t capacity);
/** One record with at most TLS_PLAIN_SIZE_MAX bytes of data. */
void tls_records_write(struct tls_records *records, struct byte_queue *output, struct bytes plain);
void tls_records_close(struct tls_records *records, struct byte_queue *output);
/** Wipes the keys. */
void tls_records_done(struct tls_records *records);
