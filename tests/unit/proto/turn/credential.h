/** A client with credentials, for tests: makes requests as RFC 8489 section 9.2 has them. */
#pragma once

#include "support/check.h"

#include "proto/turn/turn_auth.h"

#define NO_ALGORITHM 0
#define MD5          1
#define SHA256       2

static const uint8_t client_transaction[STUN_TRANSACTION_ID_SIZE] = { 1, 2, 3 };
/** What our challenges offer. */
static const uint8_t client_algorithms[8] = { 0, 2, 0, 0, 0, 1, 0, 0 };

/** What the client puts into its request. Texts that are NULL are left out. */
struct client {
    const char *username;
    const char *userhash_of; /**< USERHASH of this name instead of USERNAME */
    const char *key_name;    /**< for the key; NULL: username */
    const char *password;
    const char *realm;
    const char *nonce;
    struct bytes token;
    struct bytes mac_key; /**< instead of a password */
    int algorithm;        /**< of PASSWORD-ALGORITHM and of the key; 0: MD5, and not sent */
    struct bytes offered; /**< PASSWORD-ALGORITHMS; empty: not sent */
    bool sha1;
    bool sha256;
};

struct request {
    uint8_t data[1400];
    struct stun_message message;
};

static inline struct bytes client_text(const char *text)
{
    return text ? bytes_of(text, strlen(text)) : bytes_of(NULL, 0);
}

static inline struct bytes client_key(const struct client *client, uint8_t out[32])
{
    const char *name = client->key_name      ? client->key_name
                       : client->userhash_of ? client->userhash_of
                                             : client->username;
    if (client->mac_key.size > 0)
        return client->mac_key;
    if (client->algorithm == SHA256) {
        stun_long_term_key_sha256(client_text(name), client_text(client->realm),
                                  client_text(client->password), out);
        return bytes_of(out, HASH_SHA256_SIZE);
    }
    stun_long_term_key(client_text(name), client_text(client->realm), client_text(client->password),
                       out);
    return bytes_of(out, HASH_MD5_SIZE);
}

static inline void client_write_text(struct stun_writer *writer, uint16_t type, const char *text)
{
    if (text)
        stun_write_bytes(writer, type, client_text(text));
}

static inline void client_request(const struct client *client, struct request *request)
{
    struct stun_writer writer;
    stun_writer_start(&writer, request->data, sizeof(request->data), STUN_REQUEST, STUN_ALLOCATE,
                      client_transaction);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    client_write_text(&writer, STUN_USERNAME, client->username);
    if (client->userhash_of) {
        uint8_t hash[HASH_SHA256_SIZE];
        stun_userhash(client_text(client->userhash_of), client_text(client->realm), hash);
        stun_write_bytes(&writer, STUN_USERHASH, bytes_of(hash, sizeof(hash)));
    }
    client_write_text(&writer, STUN_REALM, client->realm);
    client_write_text(&writer, STUN_NONCE, client->nonce);
    if (client->token.data)
        stun_write_bytes(&writer, STUN_ACCESS_TOKEN, client->token);
    if (client->offered.data)
        stun_write_bytes(&writer, STUN_PASSWORD_ALGORITHMS, client->offered);
    if (client->algorithm != NO_ALGORITHM)
        stun_write_u32(&writer, STUN_PASSWORD_ALGORITHM, (uint32_t)client->algorithm << 16);
    uint8_t key[32];
    if (client->sha1)
        stun_write_integrity(&writer, client_key(client, key));
    if (client->sha256)
        stun_write_integrity_sha256(&writer, client_key(client, key));
    size_t size = stun_writer_finish(&writer);
    assert_true(size > 0);
    assert_int_equal(stun_message_parse(bytes_of(request->data, size), &request->message), 0);
}
