#include "admin/turn_config.h"

#include <stdlib.h>
#include <string.h>

#include "admin/turn_options.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/interfaces.h"
#include "server/media_candidates.h"

#define INTERFACES_MAX 256

/** ---- relay addresses ---- */

struct relay_list {
    struct turn_relay_address *items;
    size_t count;
};

static void add_relay(struct relay_list *list, const struct net_address *bind,
                      const struct net_address *external)
{
    for (size_t i = 0; i < list->count; i++) {
        if (net_address_same_ip(&list->items[i].bind, bind))
            return;
    }
    if (list->count == TURN_RELAY_ADDRESSES_MAX)
        return;
    struct turn_relay_address *relay = &list->items[list->count++];
    *relay = (struct turn_relay_address){ .bind = *bind, .told = *bind };
    relay->bind.port = relay->told.port = 0;
    if (external->family == bind->family) {
        relay->told = *external;
        relay->told.port = 0;
    }
}

/** One address of a family: that of the default route, else any that is not loopback. */
static bool find_address(uint8_t family, bool loopback, struct net_address *ret_address)
{
    if (!loopback && interface_source(family, ret_address) == 0 &&
        !net_address_is_loopback(ret_address))
        return true;
    struct interface_address *list = memory_new_array(struct interface_address, INTERFACES_MAX);
    int count = interface_list(list, INTERFACES_MAX);
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
        found = list[i].address.family == family && list[i].loopback == loopback;
        if (found)
            *ret_address = list[i].address;
    }
    free(list);
    return found;
}

size_t turn_config_relays(const struct roost_options *options, const struct net_address *external,
                          struct turn_relay_address out[TURN_RELAY_ADDRESSES_MAX])
{
    static const uint8_t families[] = { NET_IPV4, NET_IPV6 };
    struct relay_list list = { .items = out };
    const struct option_list *given = &options->turn.relay_addresses;
    for (size_t i = 0; i < min_of(given->count, (size_t)TURN_RELAY_ADDRESSES_MAX); i++) {
        if (turn_option_relay_address(given->items[i], &out[list.count]) == 0)
            list.count++;
    }
    const struct net_address *bound = &options->media.bind;
    if (list.count == 0 && bound->family != NET_NONE && !net_address_is_unspecified(bound))
        add_relay(&list, bound, external);
    // loopback where there is nothing else: for a try on one machine
    for (int loopback = 0; list.count == 0 && loopback < 2; loopback++) {
        for (size_t i = 0; i < array_size(families); i++) {
            struct net_address address;
            if (find_address(families[i], loopback, &address))
                add_relay(&list, &address, external);
        }
    }
    if (list.count == 0) {
        struct net_address address = net_address_ipv4(127, 0, 0, 1, 0);
        add_relay(&list, &address, external);
    }
    return list.count;
}

/** ---- settings ---- */

struct bytes turn_config_secret(const struct roost_options *options, const struct data_folder *data)
{
    struct bytes first, rest = bytes_of_text(options->turn.secrets);
    if (turn_option_next(&rest, &first))
        return first;
    return bytes_of(data->turn_secret, sizeof(data->turn_secret));
}

struct turn_offer turn_config_offer(const struct roost_options *options,
                                    const struct data_folder *data, struct turn_config_host *host)
{
    const struct option_list *names = &options->http.names;
    const char *name = options->turn.public_host;
    if (!*name && names->count > 0)
        name = names->items[0];
    turn_host_write(name, host->text);
    bool on_https = options->turn.https && options_want_http(options);
    return (struct turn_offer){
        .host = host->text,
        .udp_port = options->turn.udp ? options->media.udp_port : 0,
        .tcp_port = options->turn.tcp ? options->turn.port : 0,
        .tls_port = options->turn.tls ? options->turn.tls_port : 0,
        .https_port = on_https ? options->http.https_port : 0,
        .secret = turn_config_secret(options, data),
        .lifetime_s = (uint32_t)(options->turn.credential_lifetime_us / TIME_US_PER_S),
    };
}

struct turn_network *turn_config_networks(const struct option_networks *networks)
{
    struct turn_network *list =
        memory_new_array(struct turn_network, max_of(networks->count, (size_t)1));
    for (size_t i = 0; i < networks->count; i++)
        list[i] = (struct turn_network){ .address = networks->items[i].address,
                                         .prefix = networks->items[i].bits };
    return list;
}

static size_t count_items(const char *text)
{
    size_t count = 0;
    struct bytes item, rest = bytes_of_text(text);
    while (turn_option_next(&rest, &item))
        count++;
    return count;
}

/** What a settings config points to while it is copied. */
struct parts {
    struct bytes *secrets;
    struct turn_static_user *users;
    struct turn_option_key *keys;
    struct turn_token_key *token_keys;
    struct turn_alternate_server *alternates;
    struct turn_network *allowed;
    struct turn_network *denied;
    struct net_address *own;
};

static void parts_done(struct parts *parts, const struct turn_settings_config *config)
{
    if (parts->keys)
        memory_wipe(parts->keys, config->token_key_count * sizeof(*parts->keys));
    if (parts->token_keys)
        memory_wipe(parts->token_keys, config->token_key_count * sizeof(*parts->token_keys));
    if (parts->users)
        memory_wipe(parts->users, config->user_count * sizeof(*parts->users));
    free(parts->secrets);
    free(parts->users);
    free(parts->keys);
    free(parts->token_keys);
    free(parts->alternates);
    free(parts->allowed);
    free(parts->denied);
    free(parts->own);
}

static void add_secrets(const struct turn_settings_input *input, struct parts *parts,
                        struct turn_settings_config *config)
{
    struct bytes item, rest = bytes_of_text(input->options->turn.secrets);
    parts->secrets = memory_new_array(struct bytes, count_items(input->options->turn.secrets) + 1);
    while (turn_option_next(&rest, &item))
        parts->secrets[config->secret_count++] = item;
    parts->secrets[config->secret_count++] =
        bytes_of(input->data->turn_secret, sizeof(input->data->turn_secret));
    config->secrets = parts->secrets;
}

static bool may_use_turn(const struct user *user)
{
    return !user->disabled && user->keys.has_digest;
}

static void add_users(const struct turn_settings_input *input, struct parts *parts,
                      struct turn_settings_config *config)
{
    size_t count = 0; // of many users few may have digest keys
    for (size_t i = 0; i < input->users->count; i++)
        count += may_use_turn(&input->users->items[i]);
    parts->users = memory_new_array(struct turn_static_user, max_of(count, (size_t)1));
    for (size_t i = 0; i < input->users->count; i++) {
        const struct user *user = &input->users->items[i];
        if (!may_use_turn(user))
            continue;
        struct turn_static_user *own = &parts->users[config->user_count++];
        own->username = user->name;
        memcpy(own->md5_key, user->keys.md5, sizeof(own->md5_key));
        memcpy(own->sha256_key, user->keys.sha256, sizeof(own->sha256_key));
    }
    config->users = parts->users;
}

static void add_token_keys(const struct turn_settings_input *input, struct parts *parts,
                           struct turn_settings_config *config)
{
    const char *text = input->options->turn.oauth_keys;
    size_t most = count_items(text);
    if (most == 0)
        return;
    parts->keys = memory_new_array(struct turn_option_key, most);
    parts->token_keys = memory_new_array(struct turn_token_key, most);
    struct bytes item, rest = bytes_of_text(text);
    while (turn_option_next(&rest, &item)) {
        size_t place = config->token_key_count;
        if (turn_option_key(item, &parts->keys[place]) < 0)
            continue;
        parts->token_keys[place] = parts->keys[place].key;
        parts->token_keys[place].kid = parts->keys[place].kid;
        config->token_key_count++;
    }
    config->token_keys = parts->token_keys;
}

static void add_alternates(const struct turn_settings_input *input, struct parts *parts,
                           struct turn_settings_config *config)
{
    const struct option_list *list = &input->options->turn.alternate_servers;
    parts->alternates =
        memory_new_array(struct turn_alternate_server, max_of(list->count, (size_t)1));
    for (size_t i = 0; i < list->count; i++) {
        if (turn_option_alternate(list->items[i], &parts->alternates[config->alternate_count]) == 0)
            config->alternate_count++;
    }
    config->alternates = parts->alternates;
}

/** Every address by which a peer could be this machine. */
static void add_own(const struct turn_settings_input *input, struct parts *parts,
                    struct turn_peers_config *peers)
{
    const struct option_addresses *told = &input->options->media.addresses;
    size_t interfaces = input->own ? input->own->count : 0, count = 0;
    parts->own =
        memory_new_array(struct net_address, interfaces + told->count + 2 * input->relay_count + 2);
    for (size_t i = 0; i < interfaces; i++)
        parts->own[count++] = input->own->items[i];
    for (size_t i = 0; i < told->count; i++)
        parts->own[count++] = told->items[i];
    for (size_t i = 0; i < input->relay_count; i++) {
        parts->own[count++] = input->relays[i].bind;
        parts->own[count++] = input->relays[i].told;
    }
    const struct net_address *others[] = { &input->external,
                                           &input->options->turn.nat_discovery_address };
    for (size_t i = 0; i < array_size(others); i++) {
        if (others[i]->family != NET_NONE)
            parts->own[count++] = *others[i];
    }
    peers->own = parts->own;
    peers->own_count = count;
}

static void add_peers(const struct turn_settings_input *input, struct parts *parts,
                      struct turn_settings_config *config)
{
    const struct roost_options *options = input->options;
    parts->allowed = turn_config_networks(&options->turn.allowed_peers);
    parts->denied = turn_config_networks(&options->turn.denied_peers);
    config->peers = (struct turn_peers_config){
        .allowed = parts->allowed,
        .allowed_count = options->turn.allowed_peers.count,
        .denied = parts->denied,
        .denied_count = options->turn.denied_peers.count,
    };
    add_own(input, parts, &config->peers);
}

/** The addresses that clients are offered as candidates of our media server. */
static void add_media(const struct turn_settings_input *input, struct turn_settings_config *config)
{
    if (input->media_port == 0)
        return;
    const struct roost_options *options = input->options;
    struct media_candidate_config wanted = {
        .addresses = options->media.addresses.items,
        .address_count = options->media.addresses.count,
        .bound = options->media.bind,
        .external = input->external,
        .ipv6 = true,
    };
    struct media_candidates candidates;
    if (media_candidates_collect(&wanted, &candidates) < 0)
        return;
    for (size_t i = 0; i < min_of(candidates.count, array_size(config->media)); i++) {
        config->media[config->media_count] = candidates.addresses[i];
        config->media[config->media_count++].port = input->media_port;
    }
}

static uint32_t seconds(uint64_t us)
{
    return (uint32_t)(us / TIME_US_PER_S);
}

struct turn_settings *turn_config_settings(const struct turn_settings_input *input)
{
    const struct roost_options *options = input->options;
    struct turn_settings_config config = {
        .realm = options->turn.realm,
        .server_name = *options->turn.server_name ? options->turn.server_name : NULL,
        .software = options->turn.software ? "roost " ROOST_VERSION : NULL,
        .no_auth = options->turn.no_auth,
        .redirect_above = options->turn.redirect_above,
        .draining = input->draining,
        .drain_deadline_us = input->drain_deadline_us,
        .tcp_relay = options->turn.tcp_relay,
        .mobility = options->turn.mobility,
        .lifetime_default_s = seconds(options->turn.default_lifetime_us),
        .lifetime_max_s = seconds(options->turn.max_lifetime_us),
        .nonce_lifetime_s = seconds(options->turn.nonce_lifetime_us),
        .permissions_max = options->turn.max_permissions,
        .channels_max = options->turn.max_channels,
        .tcp_connections_max = options->turn.max_tcp_relays,
    };
    struct parts parts = { 0 };
    add_secrets(input, &parts, &config);
    add_users(input, &parts, &config);
    add_token_keys(input, &parts, &config);
    add_alternates(input, &parts, &config);
    add_peers(input, &parts, &config);
    add_media(input, &config);
    struct turn_settings *settings = turn_settings_new(&config);
    parts_done(&parts, &config);
    return settings;
}

struct turn_quota_limits turn_config_limits(const struct roost_options *options)
{
    return (struct turn_quota_limits){
        .allocations = options->turn.max_allocations,
        .allocations_per_user = options->turn.max_allocations_per_user,
        .bytes_per_s = options->turn.max_rate,
        .bytes_per_s_per_user = options->turn.max_rate_per_user,
        .unauthenticated_per_s = options->turn.unauthenticated_rate,
        .unauthenticated_burst = options->turn.unauthenticated_burst,
    };
}
