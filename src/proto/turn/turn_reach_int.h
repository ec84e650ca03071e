/**
 * Whom an allocation may reach: its permissions (RFC 8656 section 9) and channels (section 12), for
 * both of its families. Made when the first one is installed, so that an idle allocation costs
 * nothing for it.
 *
 * Both lie densely in arrays; a position is good until the next removal. Indexes of 16-bit
 * positions find them by IP, by peer and by number without touching anything else.
 */
#pragma once

#include "base/address.h"
#include "proto/turn/turn_peers.h"

/** Positions have 16 bits, and 0 is "none" in the indexes. */
#define TURN_REACH_MAX 32768

struct turn_permission {
    struct net_address peer; // port 0
    uint64_t expires_us;
    uint32_t judged;      // generation of the settings that the following is of
    uint16_t channels;    // that rest on it: it stays while there are some
    int8_t address_index; // of the relay address that this IP is, or -1
    uint8_t verdict;      // enum turn_peer_verdict
    bool is_media;        // our media server listens at this IP
};

struct turn_channel {
    struct net_address peer;
    uint64_t expires_us;
    uint16_t number;
    uint16_t permission; // position
};

/** Open addressing over positions + 1. */
struct turn_index {
    uint16_t *slots;
    uint32_t mask;
};

struct turn_reach {
    struct turn_permission *permissions;
    struct turn_channel *channels;
    struct turn_index by_ip;     // permissions
    struct turn_index by_peer;   // channels
    struct turn_index by_number; // channels
    uint64_t secret;             // of the indexes
    uint16_t permission_count, permission_capacity;
    uint16_t channel_count, channel_capacity;
    uint16_t last_heard; // position of the channel whose peer was heard last
};

struct turn_reach *turn_reach_new(uint64_t secret);
/** Accepts NULL; returns NULL. */
struct turn_reach *turn_reach_free(struct turn_reach *reach);

static inline bool turn_same_peer(const struct net_address *a, const struct net_address *b)
{
    return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

static inline uint32_t turn_peer_hash(const struct turn_reach *reach,
                                      const struct net_address *peer, uint16_t port)
{
    uint64_t words[2];
    __builtin_memcpy(words, peer->ip, sizeof(words));
    uint64_t hash = (words[0] ^ reach->secret) * 0x9e3779b97f4a7c15ull;
    hash = (hash ^ hash >> 29 ^ words[1] ^ (uint64_t)port << 48) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(hash >> 32);
}

static inline struct turn_channel *turn_reach_channel(const struct turn_reach *reach,
                                                      uint16_t number)
{
    if (!reach->by_number.slots)
        return NULL;
    for (uint32_t i = number & reach->by_number.mask;; i = (i + 1) & reach->by_number.mask) {
        uint16_t position = reach->by_number.slots[i];
        if (position == 0)
            return NULL;
        struct turn_channel *channel = &reach->channels[position - 1];
        if (channel->number == number)
            return channel;
    }
}

/** The channel of a peer, or NULL. */
struct turn_channel *turn_reach_channel_of(struct turn_reach *reach,
                                           const struct net_address *peer);
/** The permission of an IP, whatever the port, or NULL. */
struct turn_permission *turn_reach_permission(const struct turn_reach *reach,
                                              const struct net_address *peer);
/** Adds one; returns its position. */
uint16_t turn_reach_add_permission(struct turn_reach *reach,
                                   const struct turn_permission *permission);
void turn_reach_add_channel(struct turn_reach *reach, const struct turn_channel *channel);
/** Forgets the channels whose time (with `rebind_us`) and the permissions whose time is over. */
void turn_reach_purge(struct turn_reach *reach, uint64_t now_us, uint64_t rebind_us);
/** Forgets everything of one family. */
void turn_reach_drop_family(struct turn_reach *reach, uint8_t family);
/** Living ones. */
uint32_t turn_reach_permissions_alive(const struct turn_reach *reach, uint64_t now_us);
uint32_t turn_reach_channels_alive(const struct turn_reach *reach, uint64_t now_us);
