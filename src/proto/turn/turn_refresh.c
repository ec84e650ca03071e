#include <errno.h>

#include "proto/turn/turn_server_int.h"

/** What a Refresh asks for. */
struct wish {
    uint32_t lifetime_s;
    bool end;
    uint8_t family; // NET_NONE: all
};

/** Whose request it is: the allocation of the 5-tuple, or the one that the ticket names. */
static int find_allocation(struct turn_request *request, struct turn_allocation **ret_moving,
                           uint32_t *ret_ticket)
{
    struct turn_allocation *named = NULL;
    *ret_moving = NULL;
    *ret_ticket = 0;
    int error = turn_mobility_find(request, &named, ret_ticket);
    if (error == -EBADMSG) {
        turn_count(request->server, TURN_METRIC_TICKETS_REFUSED);
        return request->allocation ? STUN_BAD_REQUEST : STUN_ALLOCATION_MISMATCH;
    }
    if (named && request->allocation && named != request->allocation)
        return STUN_ALLOCATION_MISMATCH; // this 5-tuple has one of its own
    struct turn_allocation *allocation = named ? named : request->allocation;
    if (!allocation)
        return STUN_ALLOCATION_MISMATCH;
    if (request->allocation ? !turn_allocation_is_of(allocation, &request->identity)
                            : !turn_allocation_is_held_by(allocation, &request->identity))
        return STUN_WRONG_CREDENTIALS;
    if (!request->allocation)
        *ret_moving = named;
    request->allocation = allocation;
    return 0;
}

static int read_wish(const struct turn_request *request, struct wish *wish)
{
    int code =
        turn_family_attribute(request->message, STUN_REQUESTED_ADDRESS_FAMILY, &wish->family);
    if (code == STUN_ADDRESS_FAMILY_NOT_SUPPORTED)
        return STUN_PEER_ADDRESS_FAMILY_MISMATCH;
    if (code != 0)
        return code;
    if (turn_lifetime(request, &wish->lifetime_s, &wish->end) < 0)
        return STUN_BAD_REQUEST;
    if (wish->family != NET_NONE && !turn_allocation_relay(request->allocation, wish->family))
        return STUN_PEER_ADDRESS_FAMILY_MISMATCH;
    return 0;
}

static void answer_refreshed(struct turn_request *request, uint32_t lifetime_s)
{
    struct turn_answer answer;
    turn_answer_start(&answer, request, STUN_SUCCESS);
    stun_write_u32(&answer.writer, STUN_LIFETIME, lifetime_s);
    if (request->allocation->mobile && lifetime_s > 0)
        turn_mobility_write(request->server, request->allocation, &answer.writer);
    turn_answer_send(&answer, request);
}

static bool applies(const struct turn_relay_entry *entry, uint8_t family)
{
    return entry && (family == NET_NONE || entry->relay.told.family == family);
}

/** Ends the allocation or its relay of one family; the other one lives on (section 8.1). */
static void end(struct turn_request *request, uint8_t family)
{
    struct turn_server *server = request->server;
    struct turn_allocation *allocation = request->allocation;
    bool left = false;
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++)
        left |= allocation->relays[i] && !applies(allocation->relays[i], family);
    // the answer first: a stream is closed with its allocation
    answer_refreshed(request, 0);
    if (!left) {
        turn_allocation_end(server, allocation, TURN_END_RELEASED);
        return;
    }
    for (size_t i = TURN_RELAYS_MAX; i > 0; i--) {
        if (applies(allocation->relays[i - 1], family))
            turn_allocation_drop_relay(server, allocation, i - 1);
    }
    turn_allocation_schedule(server, allocation);
}

/** Refresh (section 8.2; RFC 8016 section 3.2.2). */
void turn_request_refresh(struct turn_request *request)
{
    struct turn_allocation *moving;
    struct wish wish;
    uint32_t ticket;
    int code = find_allocation(request, &moving, &ticket);
    if (code == 0)
        code = read_wish(request, &wish);
    if (code != 0) {
        turn_answer_error(request, (uint16_t)code);
        return;
    }
    if (moving)
        turn_mobility_move(request, moving);
    if (ticket)
        turn_mobility_use(request->allocation, ticket);
    if (wish.end) {
        end(request, wish.family);
        return;
    }
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        struct turn_relay_entry *entry = request->allocation->relays[i];
        if (applies(entry, wish.family))
            entry->expires_us = request->now_us + time_from_s(wish.lifetime_s);
    }
    turn_allocation_keep_token(request->allocation, &request->identity);
    turn_allocation_schedule(request->server, request->allocation);
    answer_refreshed(request, wish.lifetime_s);
}
