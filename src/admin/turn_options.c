#include "admin/turn_options.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"

bool turn_option_next(struct bytes *rest, struct bytes *ret_item)
{
    while (rest->data) {
        struct bytes item = text_trim(text_take_until(rest, ','));
        if (item.size > 0) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

static int parse_ip(struct bytes text, struct net_address *ret_address)
{
    char terminated[NET_ADDRESS_TEXT_MAX];
    if (text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']')
        text = bytes_of(text.data + 1, text.size - 2);
    if (text_copy(terminated, sizeof(terminated), text) < 0)
        return -EINVAL;
    return net_address_parse_ip(terminated, 0, ret_address);
}

int turn_option_relay_address(const char *text, struct turn_relay_address *ret_address)
{
    struct bytes rest = bytes_of_text(text);
    struct bytes bind = text_take_until(&rest, '/');
    struct turn_relay_address address;
    if (parse_ip(bind, &address.bind) < 0 || net_address_is_unspecified(&address.bind))
        return -EINVAL;
    address.told = address.bind;
    if (rest.data && parse_ip(rest, &address.told) < 0)
        return -EINVAL;
    if (address.told.family != address.bind.family || net_address_is_unspecified(&address.told))
        return -EINVAL;
    *ret_address = address;
    return 0;
}

int turn_option_alternate(const char *text, struct turn_alternate_server *ret_server)
{
    struct bytes rest = bytes_of_text(text);
    struct bytes endpoint = text_take_until(&rest, '/');
    char endpoint_text[NET_ADDRESS_TEXT_MAX];
    struct turn_alternate_server server = { 0 };
    if (text_copy(endpoint_text, sizeof(endpoint_text), endpoint) < 0 ||
        net_address_parse(endpoint_text, &server.address) < 0 || server.address.port == 0)
        return -EINVAL;
    if (rest.data && (rest.size == 0 || rest.size > 255))
        return -EINVAL;
    server.domain = (const char *)rest.data;
    *ret_server = server;
    return 0;
}

/** The last part behind a colon, which is cut off; names of keys may hold colons themselves. */
static bool take_last(struct bytes *text, struct bytes *ret_part)
{
    for (size_t i = text->size; i > 0; i--) {
        if (text->data[i - 1] != ':')
            continue;
        *ret_part = bytes_of(text->data + i, text->size - i);
        text->size = i - 1;
        return true;
    }
    return false;
}

int turn_option_key(struct bytes text, struct turn_option_key *ret_key)
{
    static const struct {
        const char *name;
        enum turn_token_algorithm algorithm;
        uint8_t size;
    } algorithms[] = { { "A128GCM", TURN_TOKEN_A128GCM, 16 },
                       { "A256GCM", TURN_TOKEN_A256GCM, 32 } };
    struct bytes encoded, algorithm;
    struct turn_option_key key = { 0 };
    if (!take_last(&text, &encoded) || !take_last(&text, &algorithm) || text.size == 0 ||
        text_copy(key.kid, sizeof(key.kid), text) < 0)
        return -EINVAL;
    int size = text_base64_parse(encoded, key.key.key, sizeof(key.key.key));
    for (size_t i = 0; i < array_size(algorithms); i++) {
        if (!text_equal(algorithm, algorithms[i].name) || size != algorithms[i].size)
            continue;
        key.key.algorithm = algorithms[i].algorithm;
        key.key.key_size = algorithms[i].size;
        *ret_key = key;
        memory_wipe(&key, sizeof(key));
        return 0;
    }
    memory_wipe(&key, sizeof(key));
    return -EINVAL;
}

/** ---- checks ---- */

static void check_relay_addresses(const struct roost_options *options,
                                  struct options_problems *problems)
{
    const struct option_list *list = &options->turn.relay_addresses;
    struct turn_relay_address address;
    for (size_t i = 0; i < list->count; i++) {
        if (turn_option_relay_address(list->items[i], &address) < 0)
            options_problem(problems,
                            "turn.relay_addresses: each one is IP or IP/EXTERNAL-IP, of one "
                            "family, not \"%s\"",
                            list->items[i]);
    }
    if (list->count > TURN_RELAY_ADDRESSES_MAX)
        options_problem(problems, "turn.relay_addresses holds at most %d addresses",
                        TURN_RELAY_ADDRESSES_MAX);
}

static void check_alternates(const struct roost_options *options, struct options_problems *problems)
{
    const struct option_list *list = &options->turn.alternate_servers;
    struct turn_alternate_server server;
    for (size_t i = 0; i < list->count; i++) {
        if (turn_option_alternate(list->items[i], &server) < 0)
            options_problem(problems,
                            "turn.alternate_servers: each one is IP:PORT or IP:PORT/DOMAIN (RFC "
                            "8489 knows no names without an address), not \"%s\"",
                            list->items[i]);
    }
    if (options->turn.redirect_above > 0 && list->count == 0)
        options_problem(problems, "turn.redirect_above needs turn.alternate_servers to send to");
}

static void check_keys(const struct roost_options *options, struct options_problems *problems)
{
    struct bytes item, rest = bytes_of_text(options->turn.oauth_keys);
    struct turn_option_key key;
    // what a key is must not be repeated in a message
    for (unsigned number = 1; turn_option_next(&rest, &item); number++) {
        if (turn_option_key(item, &key) < 0)
            options_problem(problems,
                            "turn.oauth_keys: key %u is not KID:A128GCM:BASE64 (16 bytes) or "
                            "KID:A256GCM:BASE64 (32 bytes)",
                            number);
    }
    memory_wipe(&key, sizeof(key));
}

static bool is_local(const struct net_address *address)
{
    return address->family != NET_NONE && !net_address_is_unspecified(address);
}

void turn_options_check(const struct roost_options *options, struct options_problems *problems)
{
    if (options->turn.min_port > options->turn.max_port)
        options_problem(problems, "turn.min_port must not be above turn.max_port");
    if (options->turn.default_lifetime_us > options->turn.max_lifetime_us)
        options_problem(problems, "turn.default_lifetime must not be longer than "
                                  "turn.max_lifetime");
    if (options->turn.port != 0 && options->turn.port == options->turn.tls_port &&
        options->turn.tcp && options->turn.tls)
        options_problem(problems, "turn.port and turn.tls_port must differ");
    if (options->turn.bind.count == 0 && (options->turn.tcp || options->turn.tls))
        options_problem(problems, "turn.bind must name at least one address");
    if (is_local(&options->turn.nat_discovery_address) && !is_local(&options->media.bind))
        options_problem(problems, "turn.nat_discovery_address is the second address: media.bind "
                                  "must name the first");
    if (option_list_has(&options->server.roles, "turn") && !options->turn.udp &&
        !options->turn.tcp && !options->turn.tls && !options->turn.dtls &&
        !(options->turn.https && options_want_http(options)))
        options_problem(problems, "server.roles has turn, but no transport of [turn] is on");
    check_relay_addresses(options, problems);
    check_alternates(options, problems);
    check_keys(options, problems);
}
