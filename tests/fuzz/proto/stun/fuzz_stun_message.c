// Arbitrary bytes as a STUN message: every reader runs over what the parser lets through, and a
// copy written from its parts must read the same.
#include <string.h>

#include "proto/stun/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct stun_message *message)
{
    static const uint16_t known[] = { STUN_USERNAME };
    uint32_t u32;
    uint64_t u64;
    uint16_t code, unknown[4];
    struct bytes value;
    struct net_address address;
    const struct bytes key = bytes_of("key", 3);
    (void)stun_message_find(message, STUN_USERNAME, &value);
    if (stun_message_find_u32(message, STUN_PRIORITY, &u32) < 0)
        u32 = 0;
    if (stun_message_find_u64(message, STUN_ICE_CONTROLLED, &u64) < 0)
        u64 = 0;
    if (stun_message_find_address(message, STUN_XOR_MAPPED_ADDRESS, &address) == 0)
        ensure(address.family == NET_IPV4 || address.family == NET_IPV6);
    if (stun_message_find_error(message, &code, &value) == 0)
        ensure(code >= 300 && code <= 699);
    ensure(stun_message_unknown(message, known, 1, unknown, 4) <= 4);
    ensure(stun_message_check_integrity(message, key) <= 0);
    ensure(stun_message_check_integrity_sha256(message, key) <= 0);
    ensure(stun_message_check_fingerprint(message) <= 0);
}

/** Writes the same attributes again. */
static void write_again(const struct stun_message *message)
{
    static uint8_t out[UINT16_MAX];
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), (enum stun_class)message->class, message->method,
                      stun_message_transaction_id(message));
    struct stun_cursor cursor = { 0 };
    struct stun_attribute attribute, again;
    while (stun_message_next(message, &cursor, &attribute))
        stun_write_bytes(&writer, attribute.type, attribute.value);
    stun_write_integrity(&writer, bytes_of("key", 3));
    stun_write_fingerprint(&writer);
    size_t size = stun_writer_finish(&writer);
    if (size == 0)
        return; // no room for the codes
    struct stun_message copy;
    ensure(stun_message_parse(bytes_of(out, size), &copy) == 0);
    ensure(copy.class == message->class && copy.method == message->method);
    ensure(stun_message_check_integrity(&copy, bytes_of("key", 3)) == 0);
    ensure(stun_message_check_fingerprint(&copy) == 0);
    cursor = (struct stun_cursor){ 0 };
    struct stun_cursor copy_cursor = { 0 };
    while (stun_message_next(message, &cursor, &attribute)) {
        ensure(stun_message_next(&copy, &copy_cursor, &again));
        ensure(again.type == attribute.type && bytes_equal(again.value, attribute.value));
    }
    ensure(!stun_message_next(&copy, &copy_cursor, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int stream_size = stun_message_stream_size(data, size);
    struct stun_message message;
    if (stun_message_parse(bytes_of(data, size), &message) < 0)
        return 0;
    ensure(stream_size == (int)size);
    read_all(&message);
    write_again(&message);
    return 0;
}
