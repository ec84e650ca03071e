#include <errno.h>
#include <string.h>

#include "proto/stun/stun_int.h"

void stun_address_mask(struct net_address *address, const uint8_t cookie[16])
{
    address->port ^= load_u16(cookie);
    size_t size = address->family == NET_IPV4 ? 4 : 16;
    for (size_t i = 0; i < size; i++)
        address->ip[i] ^= cookie[i];
}

/**
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |0 0 0 0 0 0 0 0|    Family     |           (X-)Port            |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |             (X-)Address (32 bits or 128 bits)                 |
 */
int stun_attribute_address(const struct stun_message *message,
                           const struct stun_attribute *attribute, struct net_address *ret_address)
{
    struct reader reader = reader_of(attribute->value.data, attribute->value.size);
    reader_skip(&reader, 1);
    uint8_t family = reader_u8(&reader);
    struct net_address address = { .port = reader_u16(&reader) };
    if (family == STUN_FAMILY_IPV4) {
        address.family = NET_IPV4;
        reader_copy(&reader, address.ip, 4);
    } else if (family == STUN_FAMILY_IPV6) {
        address.family = NET_IPV6;
        reader_copy(&reader, address.ip, 16);
    } else {
        return -EBADMSG;
    }
    if (!reader_finished(&reader))
        return -EBADMSG;
    if (stun_type_is_masked(attribute->type))
        stun_address_mask(&address, message->bytes.data + 4);
    *ret_address = address;
    return 0;
}

int stun_message_find_address(const struct stun_message *message, uint16_t type,
                              struct net_address *ret_address)
{
    struct stun_attribute attribute = { .type = type };
    if (!stun_message_find(message, type, &attribute.value))
        return -ENOENT;
    return stun_attribute_address(message, &attribute, ret_address);
}

void stun_write_address(struct stun_writer *writer, uint16_t type,
                        const struct net_address *address)
{
    if (writer->out.failed)
        return; // the cookie may not be there
    ensure(address->family == NET_IPV4 || address->family == NET_IPV6);
    struct net_address masked = *address;
    if (stun_type_is_masked(type))
        stun_address_mask(&masked, writer->out.data + 4);
    uint8_t value[20] = { 0 };
    size_t ip_size = masked.family == NET_IPV4 ? 4 : 16;
    value[1] = masked.family == NET_IPV4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6;
    store_u16(value + 2, masked.port);
    memcpy(value + 4, masked.ip, ip_size);
    stun_write_bytes(writer, type, bytes_of(value, 4 + ip_size));
}
