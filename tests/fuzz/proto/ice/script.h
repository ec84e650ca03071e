/**
 * Fuzz input as a script of small operations. Each begins with one byte; what an operation needs
 * follows. Messages can be signed with the right password, so that the fuzzer gets behind the
 * authentication.
 */
#pragma once

#include "proto/ice/ice.h"
#include "proto/stun/stun.h"

enum script_operation {
    SCRIPT_RAW,     /**< length, bytes: as they are */
    SCRIPT_REQUEST, /**< path, length, attributes: with USERNAME and codes */
    SCRIPT_ANSWER,  /**< path, class, which, length, attributes: to a request of ours */
    SCRIPT_WAIT,    /**< 16 bits: time passes, in units of 10 ms */
    SCRIPT_OUTPUT,  /**< lets the agent speak */
    SCRIPT_RESTART, /**< which credentials */
    SCRIPT_OPERATIONS,
};

struct script {
    struct reader reader;
    uint64_t now_us;
    struct random random;
    struct ice_metrics metrics;
    struct datagram_batch batch;
    uint8_t sent_ids[8][12]; /**< of our last requests */
    unsigned sent;
    uint8_t message[600];
};

static const char *const script_local[] = { "srvA", "srvB" };
static const char *const script_remote[] = { "cliA", "cliB" };
#define SCRIPT_LOCAL_PWD  "localpasswordlocalpassword"
#define SCRIPT_REMOTE_PWD "remotepasswordremotepassword"

static inline struct ice_credentials script_credentials(const char *ufrag, const char *pwd)
{
    return (struct ice_credentials){ { (const uint8_t *)ufrag, 4 },
                                     { (const uint8_t *)pwd, __builtin_strlen(pwd) } };
}

static inline void script_start(struct script *script, const uint8_t *data, size_t size)
{
    *script = (struct script){ .reader = reader_of(data, size), .now_us = 1 };
    random_seeded_init(&script->random, 1);
    datagram_batch_init(&script->batch, 32768, 16);
}

static inline void script_end(struct script *script)
{
    datagram_batch_done(&script->batch);
}

static inline struct net_path script_path(struct script *script)
{
    uint8_t choice = reader_u8(&script->reader);
    return (struct net_path){
        .local = net_address_ipv4(198, 51, 100, (uint8_t)(choice >> 7), 3478),
        .remote = net_address_ipv4(192, 0, 2, choice & 31, 5000),
    };
}

static inline struct bytes script_bytes(struct script *script)
{
    size_t size = reader_u8(&script->reader);
    return reader_bytes(&script->reader, min_of(size, reader_left(&script->reader)));
}

/** Attributes of the fuzzer's choice: type, length, value. */
static inline void script_attributes(struct script *script, struct stun_writer *writer)
{
    struct bytes chosen = script_bytes(script);
    struct reader reader = reader_of(chosen.data, chosen.size);
    while (reader_left(&reader) >= 3) {
        uint16_t type = reader_u16(&reader);
        size_t size = reader_u8(&reader);
        stun_write_bytes(writer, type, reader_bytes(&reader, min_of(size, reader_left(&reader))));
    }
}

static inline struct bytes script_request(struct script *script)
{
    uint8_t which = reader_u8(&script->reader);
    uint8_t id[12] = { which };
    char username[] = "srvA:cliA";
    username[3] = script_local[which & 1][3];
    username[8] = script_remote[which >> 1 & 1][3];
    struct stun_writer writer;
    stun_writer_start(&writer, script->message, sizeof(script->message), STUN_REQUEST, STUN_BINDING,
                      id);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of(username, 9));
    script_attributes(script, &writer);
    stun_write_integrity(&writer, bytes_of_text(SCRIPT_LOCAL_PWD));
    stun_write_fingerprint(&writer);
    return bytes_of(script->message, stun_writer_finish(&writer));
}

static inline struct bytes script_answer(struct script *script)
{
    uint8_t which = reader_u8(&script->reader);
    struct stun_writer writer;
    stun_writer_start(&writer, script->message, sizeof(script->message),
                      which & 8 ? STUN_ERROR : STUN_SUCCESS, STUN_BINDING,
                      script->sent_ids[which & 7]);
    struct net_address mapped = net_address_ipv4(198, 51, 100, 0, 3478);
    if (which & 16)
        stun_write_error(&writer, which & 32 ? STUN_ROLE_CONFLICT : STUN_FORBIDDEN);
    if (which & 64)
        stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, &mapped);
    script_attributes(script, &writer);
    stun_write_integrity(&writer, bytes_of_text(SCRIPT_REMOTE_PWD));
    stun_write_fingerprint(&writer);
    return bytes_of(script->message, stun_writer_finish(&writer));
}

/** Checks what the agent sent, and remembers the ids of its requests. */
static inline void script_read_batch(struct script *script)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(&script->batch, &cursor, &path, &data, &size)) {
        struct stun_message message;
        ensure(stun_message_parse(bytes_of(data, size), &message) == 0);
        ensure(stun_message_check_fingerprint(&message) == 0);
        bool request = message.class == STUN_REQUEST;
        ensure(stun_message_check_integrity(
                   &message, bytes_of_text(request ? SCRIPT_REMOTE_PWD : SCRIPT_LOCAL_PWD)) == 0);
        if (request) {
            struct reader id = reader_of(stun_message_transaction_id(&message), 12);
            reader_copy(&id, script->sent_ids[script->sent++ % 8], 12);
        }
    }
    datagram_batch_clear(&script->batch);
}
