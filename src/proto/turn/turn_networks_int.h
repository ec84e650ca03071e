/** Sets of networks: the built-in table, and those of an operator. Shared by this folder only. */
#pragma once

#include "proto/turn/turn_peers.h"

/** A built-in rule. The longest prefix that matches counts. */
struct turn_known_network {
    uint8_t ip[16];
    uint8_t family; /**< enum net_family */
    uint8_t prefix;
    /** Only this machine should reach it: a wider rule of an operator is not meant for it. */
    bool narrow;
    const char *name;   /**< NULL: peers may be there */
    const char *remedy; /**< a sentence for the log */
};

/** The built-in rule for an address of one form; NULL: none, peers may be there. */
const struct turn_known_network *turn_known_network_of(const struct net_address *address);

/** Whether the first `prefix` bits are the same. */
bool turn_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned prefix);

/** An operator's networks of one kind, sorted for the longest match. */
struct turn_network_set {
    struct turn_network *networks; /**< by family, then longest prefix, then address */
    size_t count;
};

void turn_network_set_init(struct turn_network_set *set, const struct turn_network *networks,
                           size_t count);
void turn_network_set_done(struct turn_network_set *set);
/** The longest prefix that holds `address`, or -1. */
int turn_network_set_match(const struct turn_network_set *set, const struct net_address *address);
