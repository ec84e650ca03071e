#include <string.h>

#include "proto/stun/stun_int.h"

/** The inverse of split_type in stun_message.c. */
static uint16_t join_type(enum stun_class class, uint16_t method)
{
    unsigned bits = (unsigned)class;
    return (uint16_t)((method & 0xfu) | (method & 0x70u) << 1 | (method & 0xf80u) << 2 |
                      (bits & 1) << 4 | (bits & 2) << 7);
}

void stun_writer_start(struct stun_writer *writer, void *out, size_t capacity,
                       enum stun_class class, uint16_t method,
                       const uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE])
{
    // the header's length has 16 bits
    writer->out = writer_of(out, min_of(capacity, (size_t)UINT16_MAX));
    writer_u16(&writer->out, join_type(class, method));
    writer_u16(&writer->out, 0);
    writer_u32(&writer->out, STUN_MAGIC_COOKIE);
    writer_bytes(&writer->out, transaction_id, STUN_TRANSACTION_ID_SIZE);
}

void stun_write_bytes(struct stun_writer *writer, uint16_t type, struct bytes value)
{
    ensure(value.size <= UINT16_MAX);
    writer_u16(&writer->out, type);
    writer_u16(&writer->out, (uint16_t)value.size);
    writer_bytes(&writer->out, value.data, value.size);
    writer_zeros(&writer->out, (4 - (value.size & 3)) & 3);
    if (!writer->out.failed)
        writer_patch_u16(&writer->out, 2, (uint16_t)(writer->out.size - STUN_HEADER_SIZE));
}

void stun_write_flag(struct stun_writer *writer, uint16_t type)
{
    stun_write_bytes(writer, type, (struct bytes){ 0 });
}

void stun_write_u32(struct stun_writer *writer, uint16_t type, uint32_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, value);
    stun_write_bytes(writer, type, bytes_of(bytes, sizeof(bytes)));
}

void stun_write_u64(struct stun_writer *writer, uint16_t type, uint64_t value)
{
    uint8_t bytes[8];
    store_u64(bytes, value);
    stun_write_bytes(writer, type, bytes_of(bytes, sizeof(bytes)));
}

void stun_write_error(struct stun_writer *writer, uint16_t code)
{
    ensure(code >= 300 && code <= 699);
    const char *reason = stun_error_reason(code);
    uint8_t value[4 + 64] = { [2] = (uint8_t)(code / 100), [3] = (uint8_t)(code % 100) };
    size_t length = min_of(strlen(reason), sizeof(value) - 4);
    memcpy(value + 4, reason, length);
    stun_write_bytes(writer, STUN_ERROR_CODE, bytes_of(value, 4 + length));
}

void stun_write_unknown(struct stun_writer *writer, const uint16_t *types, size_t count)
{
    uint8_t value[2 * 32];
    count = min_of(count, sizeof(value) / 2);
    for (size_t i = 0; i < count; i++)
        store_u16(value + 2 * i, types[i]);
    stun_write_bytes(writer, STUN_UNKNOWN_ATTRIBUTES, bytes_of(value, 2 * count));
}

size_t stun_writer_finish(const struct stun_writer *writer)
{
    return writer->out.failed ? 0 : writer->out.size;
}

const char *stun_error_reason(uint16_t code)
{
    static const struct {
        uint16_t code;
        const char *reason;
    } reasons[] = {
        { STUN_TRY_ALTERNATE, "Try Alternate" },
        { STUN_BAD_REQUEST, "Bad Request" },
        { STUN_UNAUTHENTICATED, "Unauthenticated" },
        { STUN_FORBIDDEN, "Forbidden" },
        { STUN_UNKNOWN_ATTRIBUTE, "Unknown Attribute" },
        { STUN_ALLOCATION_MISMATCH, "Allocation Mismatch" },
        { STUN_STALE_NONCE, "Stale Nonce" },
        { STUN_ADDRESS_FAMILY_NOT_SUPPORTED, "Address Family not Supported" },
        { STUN_WRONG_CREDENTIALS, "Wrong Credentials" },
        { STUN_UNSUPPORTED_TRANSPORT, "Unsupported Transport Protocol" },
        { STUN_PEER_ADDRESS_FAMILY_MISMATCH, "Peer Address Family Mismatch" },
        { STUN_CONNECTION_ALREADY_EXISTS, "Connection Already Exists" },
        { STUN_CONNECTION_TIMEOUT_OR_FAILURE, "Connection Timeout or Failure" },
        { STUN_ALLOCATION_QUOTA_REACHED, "Allocation Quota Reached" },
        { STUN_ROLE_CONFLICT, "Role Conflict" },
        { STUN_SERVER_ERROR, "Server Error" },
        { STUN_INSUFFICIENT_CAPACITY, "Insufficient Capacity" },
    };
    for (size_t i = 0; i < array_size(reasons); i++) {
        if (reasons[i].code == code)
            return reasons[i].reason;
    }
    return "Error";
}
