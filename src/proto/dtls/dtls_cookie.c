#include "proto/dtls/dtls_cookie.h"

#include <errno.h>
#include <string.h>

#include "proto/dtls/record_int.h"

#define MESSAGE_CLIENT_HELLO         1
#define MESSAGE_HELLO_VERIFY_REQUEST 3
#define MESSAGE_HEADER_SIZE          12
#define VERSION_DTLS_1_0             0xfeff // what a HelloVerifyRequest says, whatever comes later
#define TAG_SIZE                     (DTLS_COOKIE_SIZE - 1)

void dtls_cookie_key_init(struct dtls_cookie_key *key, const uint8_t secret[32])
{
    hmac_key_init(&key->hmac, HASH_SHA256, bytes_of(secret, 32));
}

bool dtls_is_client_hello(struct bytes datagram)
{
    return datagram.size > RECORD_HEADER_SIZE && datagram.data[0] == RECORD_HANDSHAKE &&
           load_u16(datagram.data + 3) == 0 &&
           datagram.data[RECORD_HEADER_SIZE] == MESSAGE_CLIENT_HELLO;
}

/** The message inside the record; its header is drawn in dtls.c. */
static int parse_message(struct bytes body, uint16_t *ret_sequence, struct bytes *ret_message)
{
    struct reader reader = reader_of(body.data, body.size);
    uint8_t type = reader_u8(&reader);
    uint32_t length = reader_u24(&reader);
    uint16_t sequence = reader_u16(&reader);
    uint32_t fragment_offset = reader_u24(&reader);
    uint32_t fragment_length = reader_u24(&reader);
    struct bytes message = reader_bytes(&reader, fragment_length);
    if (!reader_finished(&reader) || type != MESSAGE_CLIENT_HELLO || fragment_offset != 0 ||
        fragment_length != length)
        return -EINVAL;
    *ret_sequence = sequence;
    *ret_message = message;
    return 0;
}

/**
 *   0         2        34
 *  +---------+--------+------------+--------+---------------+---------------------+------------
 *  | version | random | session_id | cookie | cipher_suites | compression_methods | extensions
 *  +---------+--------+------------+--------+---------------+---------------------+------------
 *                       8-bit size   8-bit    16-bit size     8-bit size
 */
int dtls_client_hello_parse(struct bytes datagram, struct dtls_client_hello *ret_hello)
{
    struct reader reader = reader_of(datagram.data, datagram.size);
    struct record record;
    struct bytes message;
    uint16_t sequence;
    if (record_parse(&reader, &record) < 0 || reader_left(&reader) > 0 ||
        record.type != RECORD_HANDSHAKE || record.epoch != 0 ||
        parse_message(record.body, &sequence, &message) < 0)
        return -EINVAL;
    struct dtls_client_hello hello = {
        .record_sequence = record.sequence,
        .message_sequence = sequence,
    };
    reader = reader_of(message.data, message.size);
    reader_skip(&reader, 2);
    hello.random = reader_bytes(&reader, 32);
    reader_skip(&reader, reader_u8(&reader));
    hello.parameters = bytes_of(message.data, reader.at);
    hello.cookie = reader_bytes(&reader, reader_u8(&reader));
    size_t choices = reader.at;
    reader_skip(&reader, reader_u16(&reader));
    reader_skip(&reader, reader_u8(&reader));
    if (reader.failed)
        return -EINVAL;
    hello.choices = bytes_of(message.data + choices, reader.at - choices);
    *ret_hello = hello;
    return 0;
}

/**
 * The cookie: the low byte of the time it was made in, and the first half of an HMAC over that
 * time, both addresses, and the parameters that a client must not change when it repeats its hello.
 */
static void make_cookie(const struct dtls_cookie_key *key, uint64_t period,
                        const struct net_path *path, const struct dtls_client_hello *hello,
                        uint8_t out[DTLS_COOKIE_SIZE])
{
    uint8_t digest[HMAC_SHA256_SIZE], time[8];
    store_u64(time, period);
    struct hmac hmac;
    hmac_begin(&hmac, &key->hmac);
    hmac_add(&hmac, bytes_of(time, sizeof(time)));
    hmac_add(&hmac, bytes_of(path, sizeof(*path)));
    hmac_add(&hmac, hello->parameters);
    hmac_add(&hmac, hello->choices);
    hmac_end(&hmac, digest);
    out[0] = (uint8_t)period;
    memcpy(out + 1, digest, TAG_SIZE);
}

bool dtls_cookie_is_right(const struct dtls_cookie_key *key, uint64_t now_us,
                          const struct net_path *path, const struct dtls_client_hello *hello)
{
    if (hello->cookie.size != DTLS_COOKIE_SIZE || hello->message_sequence != 1)
        return false;
    uint64_t period = now_us / DTLS_COOKIE_LIFETIME_US;
    if (hello->cookie.data[0] != (uint8_t)period)
        period--;
    if (hello->cookie.data[0] != (uint8_t)period)
        return false;
    uint8_t expected[DTLS_COOKIE_SIZE];
    make_cookie(key, period, path, hello, expected);
    return bytes_equal_constant_time(hello->cookie, bytes_of(expected, sizeof(expected)));
}

/**
 * RFC 6347, 4.2.1: version 1.0 whatever will be spoken, and the record number of the ClientHello,
 * for it is the only number that is known here.
 *
 *  record header, message header, then
 *  +----------------+-------------+--------
 *  | server_version | cookie size | cookie
 *  +----------------+-------------+--------
 */
void dtls_hello_verify_write(const struct dtls_cookie_key *key, uint64_t now_us,
                             const struct net_path *path, const struct dtls_client_hello *hello,
                             uint8_t out[DTLS_HELLO_VERIFY_SIZE])
{
    const uint16_t length = 3 + DTLS_COOKIE_SIZE;
    struct writer writer = writer_of(out, DTLS_HELLO_VERIFY_SIZE);
    writer_u8(&writer, RECORD_HANDSHAKE);
    writer_u16(&writer, VERSION_DTLS_1_0);
    writer_u64(&writer, hello->record_sequence); // with epoch 0
    writer_u16(&writer, MESSAGE_HEADER_SIZE + length);
    writer_u8(&writer, MESSAGE_HELLO_VERIFY_REQUEST);
    writer_u24(&writer, length);
    writer_u16(&writer, 0); // message_seq
    writer_u24(&writer, 0);
    writer_u24(&writer, length);
    writer_u16(&writer, VERSION_DTLS_1_0);
    writer_u8(&writer, DTLS_COOKIE_SIZE);
    make_cookie(key, now_us / DTLS_COOKIE_LIFETIME_US, path, hello, out + writer.size);
}
