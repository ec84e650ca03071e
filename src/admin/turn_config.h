/**
 * From options to what the TURN server takes: its settings with users and secrets, its relay
 * addresses, and the addresses that are this machine's own.
 */
#pragma once

#include "admin/first_start.h"
#include "admin/turn_own.h"
#include "proto/turn/turn_ports.h"
#include "proto/turn/turn_quota.h"
#include "proto/turn/turn_settings.h"
#include "signal/access/turn_offer.h"
#include "users/user_store.h"

struct turn_settings_input {
    const struct roost_options *options;
    const struct data_folder *data; /**< its turn-secret */
    const struct user_list *users;  /**< those of turn.realm */
    const struct turn_relay_address *relays;
    size_t relay_count;
    const struct turn_own *own;  /**< of this machine's interfaces; NULL: none */
    struct net_address external; /**< of this machine; NET_NONE: not known */
    uint16_t media_port;         /**< of our media server; 0: there is none */
    bool draining;
    uint64_t drain_deadline_us; /**< monotonic; 0: none */
};

/** A snapshot of settings. Never NULL. */
struct turn_settings *turn_config_settings(const struct turn_settings_input *input);
struct turn_quota_limits turn_config_limits(const struct roost_options *options);
/**
 * turn.relay_addresses, or those of this machine that lead to the internet, or, where nothing
 * does, any. Returns how many, at least 1.
 */
size_t turn_config_relays(const struct roost_options *options, const struct net_address *external,
                          struct turn_relay_address out[TURN_RELAY_ADDRESSES_MAX]);
/** The secret that signs what we hand out: the first of turn.secrets, or the data folder's. */
struct bytes turn_config_secret(const struct roost_options *options,
                                const struct data_folder *data);
/** Room for turn_offer.host. */
struct turn_config_host {
    char text[TURN_HOST_SIZE];
};
/**
 * What clients are told, with the ports of the configuration; `host` and what else it points to
 * must live as long.
 */
struct turn_offer turn_config_offer(const struct roost_options *options,
                                    const struct data_folder *data, struct turn_config_host *host);
/** NETWORKS as the TURN server has them; heap, the caller frees. */
struct turn_network *turn_config_networks(const struct option_networks *networks);
