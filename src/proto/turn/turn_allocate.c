#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_allocate_int.h"

/** What was taken from turn_ports. */
struct taken {
    size_t index;
    uint16_t port;
};

/** The alternate server for this client's family whose turn it is; NULL: none. */
static const struct turn_alternate_server *next_alternate(struct turn_request *request)
{
    struct turn_server *server = request->server;
    const struct turn_settings_config *config = server->config;
    for (size_t i = 0; i < config->alternate_count; i++) {
        const struct turn_alternate_server *alternate =
            &config->alternates[server->alternate_next++ % config->alternate_count];
        // RFC 8489 section 14.15: the family of the request's source
        if (alternate->address.family == request->source->path.remote.family)
            return alternate;
    }
    return NULL;
}

/** 300 when there is somewhere to go, else `code`. `alternate` may be NULL. */
static void answer_elsewhere(struct turn_request *request,
                             const struct turn_alternate_server *alternate, uint16_t code)
{
    if (!alternate) {
        turn_answer_error(request, code);
        return;
    }
    struct turn_answer answer;
    turn_count_error(request->server, STUN_TRY_ALTERNATE);
    turn_answer_start(&answer, request, STUN_ERROR);
    stun_write_error(&answer.writer, STUN_TRY_ALTERNATE);
    stun_write_address(&answer.writer, STUN_ALTERNATE_SERVER, &alternate->address);
    if (alternate->domain)
        stun_write_bytes(&answer.writer, STUN_ALTERNATE_DOMAIN, bytes_of_text(alternate->domain));
    turn_answer_send(&answer, request);
}

/** ADDRESS-ERROR-CODE (section 18.12): the family that failed, class and number, a phrase. */
static void write_address_error(struct stun_writer *writer, uint8_t family, uint16_t code)
{
    const char *reason = stun_error_reason(code);
    uint8_t value[4 + 48] = { family, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };
    size_t size = min_of(strlen(reason), sizeof(value) - 4);
    memcpy(value + 4, reason, size);
    stun_write_bytes(writer, STUN_ADDRESS_ERROR_CODE, bytes_of(value, 4 + size));
}

/** The success response; it can be made again for a repeated request. */
static void answer_allocated(struct turn_request *request)
{
    const struct turn_allocation *allocation = request->allocation;
    uint64_t ends_us = allocation->relays[0]->expires_us;
    struct turn_answer answer;
    turn_answer_start(&answer, request, STUN_SUCCESS);
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        if (allocation->relays[i])
            stun_write_address(&answer.writer, STUN_XOR_RELAYED_ADDRESS,
                               &allocation->relays[i]->relay.told);
    }
    stun_write_u32(&answer.writer, STUN_LIFETIME,
                   (uint32_t)((ends_us - request->now_us) / TIME_US_PER_S));
    stun_write_address(&answer.writer, STUN_XOR_MAPPED_ADDRESS, &request->source->path.remote);
    if (allocation->has_token)
        stun_write_u64(&answer.writer, STUN_RESERVATION_TOKEN, allocation->token);
    if (allocation->address_error)
        write_address_error(&answer.writer,
                            turn_allocation_relay(allocation, NET_IPV4) ? TURN_FAMILY_IPV6
                                                                        : TURN_FAMILY_IPV4,
                            allocation->address_error);
    if (allocation->mobile)
        turn_mobility_write(request->server, allocation, &answer.writer);
    turn_answer_send(&answer, request);
}

/** Takes a port of one address. */
static int take_port(struct turn_server *server, size_t index,
                     const struct turn_allocate_wish *wish, uint64_t *token,
                     struct taken *ret_taken)
{
    int error = turn_ports_take(server->ports, index, wish->even ? TURN_PORT_EVEN : TURN_PORT_ANY,
                                server->worker, server->random, &ret_taken->port,
                                wish->reserve ? token : NULL);
    if (error == 0)
        ret_taken->index = index;
    return error;
}

/**
 * Takes a port of the family: of the address that the client came to if it is one of them, else
 * they take turns. Returns 0, 440 when there is no such address, or 508.
 */
static int take_of_family(struct turn_request *request, uint8_t family,
                          const struct turn_allocate_wish *wish, uint64_t *token,
                          struct taken *ret_taken)
{
    struct turn_server *server = request->server;
    const struct net_address *local = &request->source->path.local;
    size_t count = turn_ports_address_count(server->ports);
    int came_to = turn_ports_find_address(server->ports, local);
    if (came_to >= 0 && local->family == family &&
        take_port(server, (size_t)came_to, wish, token, ret_taken) == 0)
        return 0;
    int code = STUN_ADDRESS_FAMILY_NOT_SUPPORTED;
    size_t first = server->address_next++;
    for (size_t i = 0; i < count; i++) {
        size_t index = (first + i) % count;
        if (turn_ports_address(server->ports, index)->told.family != family)
            continue;
        if (take_port(server, index, wish, token, ret_taken) == 0)
            return 0;
        code = STUN_INSUFFICIENT_CAPACITY;
    }
    return code;
}

/** Keeps the time of a reservation. */
static void remember_reservation(struct turn_server *server, uint64_t token, uint64_t now_us)
{
    struct turn_reservation *reservation = memory_new(struct turn_reservation);
    reservation->token = token;
    reservation->ends_us = now_us + TURN_RESERVATION_US;
    list_append(&server->reservations, &reservation->node);
}

void turn_reservations_expire(struct turn_server *server, uint64_t now_us)
{
    struct turn_reservation *reservation;
    list_each(reservation, &server->reservations, node)
    {
        if (reservation->ends_us > now_us)
            break;
        turn_ports_expire(server->ports, reservation->token);
        list_remove(&reservation->node);
        free(reservation);
    }
}

/** Everything that a new allocation takes; what could not be had is given back. */
static int take_ports(struct turn_request *request, const struct turn_allocate_wish *wish,
                      uint64_t *token, struct taken taken[TURN_RELAYS_MAX], size_t *ret_count,
                      uint16_t *ret_address_error)
{
    struct turn_server *server = request->server;
    *ret_count = 0;
    *ret_address_error = 0;
    if (wish->has_token) {
        if (turn_ports_claim(server->ports, wish->token, server->worker, &taken[0].index,
                             &taken[0].port) < 0)
            return STUN_INSUFFICIENT_CAPACITY;
        *ret_count = 1;
        return 0;
    }
    int code = take_of_family(request, wish->family, wish, token, &taken[0]);
    *ret_count = code == 0;
    if (wish->additional == NET_NONE)
        return code;
    int second = take_of_family(request, wish->additional, wish, token, &taken[*ret_count]);
    *ret_count += second == 0;
    // one of both is a success with ADDRESS-ERROR-CODE for the other (section 7.2)
    *ret_address_error = (uint16_t)(code != 0 ? code : second);
    return *ret_count > 0 ? 0 : code;
}

static void give_back(struct turn_server *server, const struct taken *taken, size_t count)
{
    for (size_t i = 0; i < count; i++)
        turn_ports_give_back(server->ports, taken[i].index, taken[i].port);
}

/** Opens the relays of a new allocation; what cannot be is tried again for the first peer. */
static void open_relays(struct turn_server *server, const struct turn_allocation *allocation,
                        const struct turn_allocate_wish *wish)
{
    for (size_t i = 0; i < TURN_RELAYS_MAX && allocation->relays[i]; i++) {
        // one of a pair stays where it is
        if (!wish->reserve && !wish->has_token)
            turn_relay_open_anywhere(server, allocation->relays[i],
                                     wish->even ? TURN_PORT_EVEN : TURN_PORT_ANY);
        else if (turn_relay_open(server, allocation->relays[i]) < 0)
            return;
    }
}

/** Makes the allocation. Returns 0 or the error code. */
static int allocate(struct turn_request *request, const struct turn_allocate_wish *wish,
                    struct turn_user *user)
{
    struct turn_server *server = request->server;
    struct taken taken[TURN_RELAYS_MAX];
    uint64_t token = 0;
    size_t count;
    uint16_t address_error;
    int code = take_ports(request, wish, &token, taken, &count, &address_error);
    if (code != 0)
        return code;
    if (server->allocations.count >= server->allocations.limit) {
        give_back(server, taken, count);
        return STUN_INSUFFICIENT_CAPACITY;
    }
    struct turn_allocation *allocation = turn_allocation_new(request, user);
    uint64_t ends_us = request->now_us + time_from_s(wish->lifetime_s);
    for (size_t i = 0; i < count; i++)
        turn_allocation_add_relay(server, allocation, taken[i].index, taken[i].port, ends_us);
    allocation->tcp = wish->tcp;
    allocation->mobile = wish->mobile;
    allocation->ticket = 1;
    allocation->address_error = address_error;
    allocation->has_token = wish->reserve;
    allocation->token = token;
    if (wish->reserve)
        remember_reservation(server, token, request->now_us);
    if (server->relays_at_once)
        open_relays(server, allocation, wish);
    turn_allocation_schedule(server, allocation);
    request->allocation = allocation;
    if (request->cache)
        *request->cache = allocation;
    if (server->ops->began)
        server->ops->began(server->owner, allocation);
    return 0;
}

/** Whose share an allocation is: the user's, or on an open server the client address's. */
static int join_quota(struct turn_request *request, struct turn_user **ret_user)
{
    const struct turn_identity *identity = &request->identity;
    char ip[NET_ADDRESS_TEXT_MAX];
    struct bytes name = bytes_of(identity->name + identity->quota_skip,
                                 (size_t)identity->name_size - identity->quota_skip);
    if (identity->none)
        name = bytes_of_text(net_address_format_ip(&request->source->path.remote, ip));
    return turn_quota_join(request->server->quota, name, ret_user);
}

/** No new allocations, whether there is an alternate or not. */
static bool must_refuse(const struct turn_server *server)
{
    return server->config->draining || server->allocations.count >= server->allocations_max;
}

/** New clients had better go elsewhere. */
static bool is_busy(const struct turn_server *server)
{
    uint32_t above = server->config->redirect_above;
    return must_refuse(server) || (above != 0 && turn_quota_allocations(server->quota) >= above);
}

static void answer_new(struct turn_request *request)
{
    struct turn_server *server = request->server;
    struct turn_allocate_wish wish = { 0 };
    struct turn_user *user;
    int code = turn_allocate_read(request, &wish);
    if (code != 0) {
        turn_answer_error(request, (uint16_t)code);
        return;
    }
    const struct turn_alternate_server *alternate = NULL;
    if (is_busy(server) && ((alternate = next_alternate(request)) || must_refuse(server))) {
        answer_elsewhere(request, alternate, STUN_INSUFFICIENT_CAPACITY);
        return;
    }
    int error = join_quota(request, &user);
    if (error == -EDQUOT) {
        turn_answer_error(request, STUN_ALLOCATION_QUOTA_REACHED);
        return;
    }
    if (error < 0) {
        answer_elsewhere(request, next_alternate(request), STUN_INSUFFICIENT_CAPACITY);
        return;
    }
    code = allocate(request, &wish, user);
    if (code == 0) {
        answer_allocated(request);
        return;
    }
    turn_quota_leave(server->quota, user);
    turn_answer_error(request, (uint16_t)code);
}

/** Allocate (section 7.2). */
void turn_request_allocate(struct turn_request *request)
{
    const struct turn_allocation *allocation = request->allocation;
    if (!allocation) {
        answer_new(request);
    } else if (memcmp(allocation->transaction_id, stun_message_transaction_id(request->message),
                      STUN_TRANSACTION_ID_SIZE) == 0 &&
               turn_allocation_is_of(allocation, &request->identity)) {
        turn_count(request->server, TURN_METRIC_RETRANSMISSIONS);
        answer_allocated(request);
    } else {
        turn_answer_error(request, STUN_ALLOCATION_MISMATCH);
    }
}
