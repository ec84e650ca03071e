#include <errno.h>

#include "proto/turn/turn_allocate_int.h"

/** Values of REQUESTED-TRANSPORT: IANA protocol numbers (section 18.8). */
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

int turn_family_attribute(const struct stun_message *message, uint16_t type, uint8_t *ret_family)
{
    uint32_t value;
    int error = stun_message_find_u32(message, type, &value);
    if (error == -ENOENT) {
        *ret_family = NET_NONE;
        return 0;
    }
    if (error < 0)
        return STUN_BAD_REQUEST;
    switch (value >> 24) {
    case TURN_FAMILY_IPV4:
        *ret_family = NET_IPV4;
        return 0;
    case TURN_FAMILY_IPV6:
        *ret_family = NET_IPV6;
        return 0;
    default:
        return STUN_ADDRESS_FAMILY_NOT_SUPPORTED;
    }
}

int turn_lifetime(const struct turn_request *request, uint32_t *ret_lifetime_s, bool *ret_zero)
{
    const struct turn_server *server = request->server;
    const struct turn_settings_config *config = server->config;
    uint32_t asked_s = config->lifetime_default_s;
    int error = stun_message_find_u32(request->message, STUN_LIFETIME, &asked_s);
    if (error == -EBADMSG)
        return error;
    *ret_zero = error == 0 && asked_s == 0;
    uint32_t lifetime_s =
        max_of(min_of(asked_s, config->lifetime_max_s), config->lifetime_default_s);
    const struct turn_allocation *allocation = request->allocation;
    if (allocation && allocation->credential_ends_s != 0) {
        int64_t left_s = allocation->credential_ends_s + config->lifetime_max_s -
                         turn_unix_s(server, request->now_us);
        lifetime_s = (uint32_t)min_of((int64_t)lifetime_s, max_of(left_s, (int64_t)1));
    }
    if (config->drain_deadline_us != 0 && config->draining) {
        uint64_t left_us =
            config->drain_deadline_us - min_of(config->drain_deadline_us, request->now_us);
        lifetime_s =
            (uint32_t)min_of((uint64_t)lifetime_s, max_of(left_us / TIME_US_PER_S, (uint64_t)1));
    }
    *ret_lifetime_s = lifetime_s;
    return 0;
}

static bool has(const struct turn_request *request, uint16_t type)
{
    struct bytes value;
    return stun_message_find(request->message, type, &value);
}

/** REQUESTED-TRANSPORT: section 7.2, and RFC 6062 section 5.1. Returns 0 or the error code. */
static int read_transport(const struct turn_request *request, struct turn_allocate_wish *wish)
{
    uint32_t value;
    if (stun_message_find_u32(request->message, STUN_REQUESTED_TRANSPORT, &value) < 0)
        return STUN_BAD_REQUEST;
    switch (value >> 24) {
    case PROTOCOL_UDP:
        return 0;
    case PROTOCOL_TCP:
        break;
    default:
        return STUN_UNSUPPORTED_TRANSPORT;
    }
    if (!request->server->config->tcp_relay)
        return STUN_UNSUPPORTED_TRANSPORT;
    wish->tcp = true;
    if (!turn_is_stream(request->source->transport) || has(request, STUN_DONT_FRAGMENT) ||
        has(request, STUN_EVEN_PORT) || has(request, STUN_RESERVATION_TOKEN))
        return STUN_BAD_REQUEST;
    return 0;
}

static int read_families(const struct turn_request *request, struct turn_allocate_wish *wish)
{
    const struct stun_message *message = request->message;
    uint8_t family, additional;
    int code = turn_family_attribute(message, STUN_REQUESTED_ADDRESS_FAMILY, &family);
    if (code == 0)
        code = turn_family_attribute(message, STUN_ADDITIONAL_ADDRESS_FAMILY, &additional);
    if (code != 0)
        return code;
    if (wish->has_token && (family != NET_NONE || additional != NET_NONE))
        return STUN_BAD_REQUEST;
    if (additional == NET_IPV4 || (additional != NET_NONE && (family != NET_NONE || wish->reserve)))
        return STUN_BAD_REQUEST;
    wish->family = family == NET_NONE ? NET_IPV4 : family;
    wish->additional = additional;
    return 0;
}

static int read_ports(const struct turn_request *request, struct turn_allocate_wish *wish)
{
    struct bytes even;
    int error = stun_message_find_u64(request->message, STUN_RESERVATION_TOKEN, &wish->token);
    wish->has_token = error == 0;
    if (error == -EBADMSG)
        return STUN_BAD_REQUEST;
    if (!stun_message_find(request->message, STUN_EVEN_PORT, &even))
        return 0;
    if (even.size != 1 || wish->has_token)
        return STUN_BAD_REQUEST;
    wish->even = true;
    wish->reserve = (even.data[0] & 0x80) != 0;
    return 0;
}

int turn_allocate_read(const struct turn_request *request, struct turn_allocate_wish *wish)
{
    bool zero;
    struct bytes ticket;
    int code = read_transport(request, wish);
    if (code == 0)
        code = read_ports(request, wish);
    if (code == 0)
        code = read_families(request, wish);
    if (code != 0)
        return code;
    if (turn_lifetime(request, &wish->lifetime_s, &zero) < 0)
        return STUN_BAD_REQUEST;
    if (request->server->config->mobility &&
        stun_message_find(request->message, STUN_MOBILITY_TICKET, &ticket)) {
        if (ticket.size != 0) // RFC 8016 section 3.1.2
            return STUN_BAD_REQUEST;
        wish->mobile = true;
    }
    return 0;
}
