#include <errno.h>

#include "proto/turn/turn_server_int.h"

static enum turn_verdict drop(struct turn_server *server, struct turn_allocation *allocation,
                              enum turn_metric reason)
{
    turn_count(server, reason);
    allocation->dropped_packets++;
    return TURN_DONE;
}

static bool may_spend(struct turn_server *server, struct turn_allocation *allocation,
                      uint64_t now_us, size_t size)
{
    return likely(!server->limited) ||
           turn_quota_spend(server->quota, allocation->user, now_us, size);
}

/** Counts and hands out what goes to a peer; everything but the decision is in `forward`. */
static enum turn_verdict forward(struct turn_server *server, uint64_t now_us,
                                 struct turn_allocation *allocation, struct turn_forward *forward)
{
    size_t size = forward->payload.size;
    if (!may_spend(server, allocation, now_us, size))
        return drop(server, allocation, TURN_METRIC_DROPPED_BANDWIDTH);
    forward->allocation = allocation;
    allocation->sent_packets++;
    allocation->sent_bytes += size;
    turn_count(server, TURN_METRIC_PACKETS_TO_PEER);
    metric_add(&server->metrics[TURN_METRIC_BYTES_TO_PEER], size);
    return TURN_FORWARD;
}

static struct turn_permission *judged(const struct turn_server *server,
                                      struct turn_permission *permission)
{
    struct turn_peer_decision decision;
    if (unlikely(permission->judged != server->generation))
        turn_permission_judge(server, permission, &decision);
    return permission;
}

/**
 * Sets where `forward->peer` is reached and the relay that data leaves from. Returns false when it
 * was dropped.
 */
static bool find_route(struct turn_server *server, struct turn_allocation *allocation,
                       const struct turn_permission *permission, struct turn_forward *forward)
{
    struct turn_relay_entry *entry = turn_allocation_relay(allocation, forward->peer.family);
    if (unlikely(!entry)) {
        drop(server, allocation, TURN_METRIC_DROPPED_PEER_FAMILY);
        return false;
    }
    forward->relay = &entry->relay;
    if (likely(permission->verdict == TURN_PEER_ALLOWED && permission->address_index < 0 &&
               !permission->is_media && entry->open)) {
        forward->place = TURN_PLACE_OUTSIDE;
        return true;
    }
    struct turn_route route = turn_peer_route(server, permission, &forward->peer);
    // a reload may have allowed what was reached inside the process before
    if (route.allowed && route.place == TURN_PLACE_OUTSIDE && turn_relay_open(server, entry) < 0)
        route = (struct turn_route){ .reason = TURN_METRIC_DROPPED_PEER_OWN };
    if (!route.allowed) {
        drop(server, allocation, route.reason);
        return false;
    }
    forward->place = route.place;
    forward->worker = route.worker;
    return true;
}

/**
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |         Channel Number        |            Length             |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                       Application Data                        |
 *
 * Over UDP padding to four bytes is allowed behind the data, and not counted (section 12.5).
 */
enum turn_verdict turn_channel_data(struct turn_server *server, uint64_t now_us,
                                    struct turn_allocation *allocation, struct bytes message,
                                    struct turn_forward *ret_forward)
{
    uint16_t number = load_u16(message.data);
    size_t length = load_u16(message.data + 2);
    if (unlikely(length > message.size - TURN_CHANNEL_HEADER_SIZE ||
                 message.size - TURN_CHANNEL_HEADER_SIZE - length > 3))
        return drop(server, allocation, TURN_METRIC_DROPPED_MALFORMED);
    struct turn_reach *reach = allocation->reach;
    const struct turn_channel *channel = reach ? turn_reach_channel(reach, number) : NULL;
    if (unlikely(!channel || channel->expires_us <= now_us))
        return drop(server, allocation, TURN_METRIC_DROPPED_NO_CHANNEL);
    *ret_forward = (struct turn_forward){
        .peer = channel->peer,
        .payload = bytes_of(message.data + TURN_CHANNEL_HEADER_SIZE, length),
    };
    const struct turn_permission *permission =
        judged(server, &reach->permissions[channel->permission]);
    if (unlikely(!find_route(server, allocation, permission, ret_forward)))
        return TURN_DONE;
    return forward(server, now_us, allocation, ret_forward);
}

/** Send indication (section 11.2). */
enum turn_verdict turn_send_indication(struct turn_server *server, uint64_t now_us,
                                       struct turn_allocation *allocation,
                                       const struct stun_message *message,
                                       struct turn_forward *ret_forward)
{
    *ret_forward = (struct turn_forward){ 0 };
    if (allocation->tcp) // RFC 6062 section 5
        return drop(server, allocation, TURN_METRIC_DROPPED_TCP_ALLOCATION);
    struct bytes flag;
    if (stun_message_find_address(message, STUN_XOR_PEER_ADDRESS, &ret_forward->peer) < 0 ||
        ret_forward->peer.port == 0 ||
        !stun_message_find(message, STUN_DATA_ATTRIBUTE, &ret_forward->payload))
        return drop(server, allocation, TURN_METRIC_DROPPED_MALFORMED);
    struct turn_permission *permission =
        allocation->reach ? turn_reach_permission(allocation->reach, &ret_forward->peer) : NULL;
    if (!permission || permission->expires_us <= now_us)
        return drop(server, allocation, TURN_METRIC_DROPPED_NO_PERMISSION);
    if (!find_route(server, allocation, judged(server, permission), ret_forward))
        return TURN_DONE;
    ret_forward->dont_fragment = stun_message_find(message, STUN_DONT_FRAGMENT, &flag);
    return forward(server, now_us, allocation, ret_forward);
}

/** Header of a Data indication with XOR-PEER-ADDRESS; DATA's value follows. */
static void write_indication(struct turn_server *server, const struct net_address *peer,
                             size_t size, struct turn_deliver *deliver)
{
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
    random_fill(&server->transactions, transaction_id, sizeof(transaction_id));
    struct stun_writer writer;
    stun_writer_start(&writer, deliver->header, sizeof(deliver->header), STUN_INDICATION, STUN_DATA,
                      transaction_id);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, peer);
    deliver->padding = (4 - (size & 3)) & 3;
    writer_u16(&writer.out, STUN_DATA_ATTRIBUTE);
    writer_u16(&writer.out, (uint16_t)size);
    writer_patch_u16(&writer.out, 2,
                     (uint16_t)(writer.out.size - STUN_HEADER_SIZE + size + deliver->padding));
    deliver->header_size = (uint8_t)writer.out.size;
}

static void write_channel(const struct turn_channel *channel, bool stream, size_t size,
                          struct turn_deliver *deliver)
{
    store_u16(deliver->header, channel->number);
    store_u16(deliver->header + 2, (uint16_t)size);
    deliver->header_size = TURN_CHANNEL_HEADER_SIZE;
    deliver->padding = stream ? (4 - (size & 3)) & 3 : 0; // section 12.5
}

/** The channel of a peer: most often the one that was heard last. */
static struct turn_channel *heard_channel(struct turn_reach *reach, const struct net_address *peer)
{
    if (likely(reach->last_heard < reach->channel_count)) {
        struct turn_channel *last = &reach->channels[reach->last_heard];
        if (likely(turn_same_peer(&last->peer, peer)))
            return last;
    }
    return turn_reach_channel_of(reach, peer);
}

enum turn_verdict turn_server_peer_input(struct turn_server *server, uint64_t now_us,
                                         struct turn_relay *relay, const struct net_address *peer,
                                         size_t size, struct turn_deliver *ret_deliver)
{
    struct turn_allocation *allocation = relay->allocation;
    struct turn_reach *reach = allocation->reach;
    turn_heard(server, now_us);
    if (unlikely(!reach))
        return drop(server, allocation, TURN_METRIC_DROPPED_NO_PERMISSION);
    const struct turn_channel *channel = heard_channel(reach, peer);
    struct turn_permission *permission =
        channel ? &reach->permissions[channel->permission] : turn_reach_permission(reach, peer);
    if (unlikely(!permission || permission->expires_us <= now_us))
        return drop(server, allocation, TURN_METRIC_DROPPED_NO_PERMISSION);
    if (unlikely(judged(server, permission)->verdict == TURN_PEER_DENIED))
        return drop(server, allocation, TURN_METRIC_DROPPED_PEER_DENIED);
    if (unlikely(size > TURN_DATAGRAM_MAX - TURN_DELIVER_HEADER_MAX - 3))
        return drop(server, allocation, TURN_METRIC_DROPPED_TOO_LARGE);
    if (unlikely(allocation->away))
        return drop(server, allocation, TURN_METRIC_DROPPED_CLIENT_AWAY);
    if (!may_spend(server, allocation, now_us, size))
        return drop(server, allocation, TURN_METRIC_DROPPED_BANDWIDTH);
    ret_deliver->allocation = allocation;
    ret_deliver->client = &allocation->source;
    if (likely(channel && channel->expires_us > now_us))
        write_channel(channel, turn_is_stream(allocation->source.transport), size, ret_deliver);
    else
        write_indication(server, peer, size, ret_deliver);
    allocation->received_packets++;
    allocation->received_bytes += size;
    turn_count(server, TURN_METRIC_PACKETS_TO_CLIENT);
    metric_add(&server->metrics[TURN_METRIC_BYTES_TO_CLIENT], size);
    return TURN_FORWARD;
}

/** The types of section 11.5; `ret_data`: what of `data` belongs to this one. */
static bool icmp_counts(uint8_t family, uint8_t type, uint8_t code, uint32_t data,
                        uint32_t *ret_data)
{
    if (family == NET_IPV4) {
        *ret_data = type == 3 && code == 4 ? data : 0; // fragmentation needed
        return type == 3 || type == 11;
    }
    *ret_data = type == 2 ? data : 0; // packet too big
    return type >= 1 && type <= 3;
}

/**
 * ICMP (section 18.13):
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |  Reserved                     |  ICMP Type  |  ICMP Code      |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                          Error Data                           |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
void turn_server_peer_icmp(struct turn_server *server, uint64_t now_us, struct turn_relay *relay,
                           const struct net_address *peer, uint8_t type, uint8_t code,
                           uint32_t data)
{
    struct turn_allocation *allocation = relay->allocation;
    uint32_t error_data;
    const struct turn_permission *permission =
        allocation->reach ? turn_reach_permission(allocation->reach, peer) : NULL;
    if (!icmp_counts(peer->family, type, code, data, &error_data))
        return;
    if (!permission || permission->expires_us <= now_us) {
        turn_count(server, TURN_METRIC_DROPPED_NO_PERMISSION);
        return;
    }
    if (allocation->away) {
        turn_count(server, TURN_METRIC_DROPPED_CLIENT_AWAY);
        return;
    }
    if (allocation->icmp_us != 0 && now_us < allocation->icmp_us + TURN_ICMP_GAP_US) {
        turn_count(server, TURN_METRIC_DROPPED_TOO_MANY_ICMP);
        return;
    }
    allocation->icmp_us = now_us;
    uint8_t value[8] = { 0 }, message[96], transaction_id[STUN_TRANSACTION_ID_SIZE];
    store_u16(value + 2, (uint16_t)((type & 0x7f) << 9 | code));
    store_u32(value + 4, error_data);
    random_fill(&server->transactions, transaction_id, sizeof(transaction_id));
    struct stun_writer writer;
    stun_writer_start(&writer, message, sizeof(message), STUN_INDICATION, STUN_DATA,
                      transaction_id);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, peer);
    stun_write_bytes(&writer, STUN_ICMP, bytes_of(value, sizeof(value)));
    turn_count(server, TURN_METRIC_ICMP);
    server->ops->send(server->owner, &allocation->source,
                      bytes_of(message, stun_writer_finish(&writer)));
}
