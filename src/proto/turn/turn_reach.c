#include "proto/turn/turn_reach_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define FIRST_CAPACITY 2

struct turn_reach *turn_reach_new(uint64_t secret)
{
    struct turn_reach *reach = memory_new(struct turn_reach);
    reach->secret = secret;
    return reach;
}

struct turn_reach *turn_reach_free(struct turn_reach *reach)
{
    if (!reach)
        return NULL;
    free(reach->permissions);
    free(reach->channels);
    free(reach->by_ip.slots);
    free(reach->by_peer.slots);
    free(reach->by_number.slots);
    free(reach);
    return NULL;
}

/** An empty index with room for `capacity` entries, at most half full. */
static void index_reset(struct turn_index *index, uint32_t capacity)
{
    uint32_t size = capacity * 2;
    if (index->slots && index->mask + 1 == size) {
        memset(index->slots, 0, size * sizeof(*index->slots));
        return;
    }
    free(index->slots);
    index->slots = memory_new_array(uint16_t, size);
    index->mask = size - 1;
}

static void index_add(struct turn_index *index, uint32_t hash, uint16_t position)
{
    uint32_t i = hash & index->mask;
    while (index->slots[i] != 0)
        i = (i + 1) & index->mask;
    index->slots[i] = (uint16_t)(position + 1);
}

static void index_permission(struct turn_reach *reach, uint16_t position)
{
    const struct net_address *peer = &reach->permissions[position].peer;
    index_add(&reach->by_ip, turn_peer_hash(reach, peer, 0), position);
}

static void index_channel(struct turn_reach *reach, uint16_t position)
{
    const struct turn_channel *channel = &reach->channels[position];
    index_add(&reach->by_number, channel->number, position);
    index_add(&reach->by_peer, turn_peer_hash(reach, &channel->peer, channel->peer.port), position);
}

static void rebuild_permissions(struct turn_reach *reach)
{
    if (reach->permission_capacity == 0)
        return;
    index_reset(&reach->by_ip, reach->permission_capacity);
    for (uint16_t i = 0; i < reach->permission_count; i++)
        index_permission(reach, i);
}

static void rebuild_channels(struct turn_reach *reach)
{
    if (reach->channel_capacity == 0)
        return;
    index_reset(&reach->by_number, reach->channel_capacity);
    index_reset(&reach->by_peer, reach->channel_capacity);
    for (uint16_t i = 0; i < reach->channel_count; i++)
        index_channel(reach, i);
    reach->last_heard = 0;
}

uint16_t turn_reach_add_permission(struct turn_reach *reach,
                                   const struct turn_permission *permission)
{
    ensure(reach->permission_count < TURN_REACH_MAX);
    if (reach->permission_count == reach->permission_capacity) {
        uint16_t capacity = reach->permission_capacity ? (uint16_t)(reach->permission_capacity * 2)
                                                       : FIRST_CAPACITY;
        reach->permissions =
            memory_resize(reach->permissions, capacity * sizeof(*reach->permissions));
        reach->permission_capacity = capacity;
        rebuild_permissions(reach);
    }
    uint16_t position = reach->permission_count++;
    reach->permissions[position] = *permission;
    index_permission(reach, position);
    return position;
}

void turn_reach_add_channel(struct turn_reach *reach, const struct turn_channel *channel)
{
    ensure(reach->channel_count < TURN_REACH_MAX);
    if (reach->channel_count == reach->channel_capacity) {
        uint16_t capacity =
            reach->channel_capacity ? (uint16_t)(reach->channel_capacity * 2) : FIRST_CAPACITY;
        reach->channels = memory_resize(reach->channels, capacity * sizeof(*reach->channels));
        reach->channel_capacity = capacity;
        rebuild_channels(reach);
    }
    uint16_t position = reach->channel_count++;
    reach->channels[position] = *channel;
    reach->permissions[channel->permission].channels++;
    index_channel(reach, position);
}

struct turn_channel *turn_reach_channel_of(struct turn_reach *reach, const struct net_address *peer)
{
    if (reach->channel_count == 0)
        return NULL;
    for (uint32_t i = turn_peer_hash(reach, peer, peer->port) & reach->by_peer.mask;;
         i = (i + 1) & reach->by_peer.mask) {
        uint16_t position = reach->by_peer.slots[i];
        if (position == 0)
            return NULL;
        struct turn_channel *channel = &reach->channels[position - 1];
        if (turn_same_peer(&channel->peer, peer)) {
            reach->last_heard = (uint16_t)(position - 1);
            return channel;
        }
    }
}

struct turn_permission *turn_reach_permission(const struct turn_reach *reach,
                                              const struct net_address *peer)
{
    if (reach->permission_count == 0)
        return NULL;
    struct net_address ip = *peer;
    ip.port = 0;
    for (uint32_t i = turn_peer_hash(reach, &ip, 0) & reach->by_ip.mask;;
         i = (i + 1) & reach->by_ip.mask) {
        uint16_t position = reach->by_ip.slots[i];
        if (position == 0)
            return NULL;
        struct turn_permission *permission = &reach->permissions[position - 1];
        if (turn_same_peer(&permission->peer, &ip))
            return permission;
    }
}

/** Puts the last channel in the place of one. The indexes are stale afterwards. */
static void remove_channel(struct turn_reach *reach, uint16_t position)
{
    reach->permissions[reach->channels[position].permission].channels--;
    reach->channels[position] = reach->channels[--reach->channel_count];
}

static void remove_permission(struct turn_reach *reach, uint16_t position)
{
    uint16_t last = --reach->permission_count;
    if (position == last)
        return;
    reach->permissions[position] = reach->permissions[last];
    for (uint16_t i = 0; reach->permissions[position].channels && i < reach->channel_count; i++) {
        if (reach->channels[i].permission == last)
            reach->channels[i].permission = position;
    }
}

void turn_reach_purge(struct turn_reach *reach, uint64_t now_us, uint64_t rebind_us)
{
    uint16_t channels = reach->channel_count, permissions = reach->permission_count;
    for (uint16_t i = reach->channel_count; i > 0; i--) {
        if (reach->channels[i - 1].expires_us + rebind_us <= now_us)
            remove_channel(reach, (uint16_t)(i - 1));
    }
    for (uint16_t i = reach->permission_count; i > 0; i--) {
        const struct turn_permission *permission = &reach->permissions[i - 1];
        if (permission->expires_us <= now_us && permission->channels == 0)
            remove_permission(reach, (uint16_t)(i - 1));
    }
    if (channels != reach->channel_count)
        rebuild_channels(reach);
    if (permissions != reach->permission_count)
        rebuild_permissions(reach);
}

void turn_reach_drop_family(struct turn_reach *reach, uint8_t family)
{
    for (uint16_t i = reach->channel_count; i > 0; i--) {
        if (reach->channels[i - 1].peer.family == family)
            remove_channel(reach, (uint16_t)(i - 1));
    }
    for (uint16_t i = reach->permission_count; i > 0; i--) {
        if (reach->permissions[i - 1].peer.family == family)
            remove_permission(reach, (uint16_t)(i - 1));
    }
    rebuild_channels(reach);
    rebuild_permissions(reach);
}

uint32_t turn_reach_permissions_alive(const struct turn_reach *reach, uint64_t now_us)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < reach->permission_count; i++)
        count += reach->permissions[i].expires_us > now_us;
    return count;
}

uint32_t turn_reach_channels_alive(const struct turn_reach *reach, uint64_t now_us)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < reach->channel_count; i++)
        count += reach->channels[i].expires_us > now_us;
    return count;
}
