#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_networks_int.h"

#define PREFIX_MAX(family) ((family) == NET_IPV4 ? 32u : 128u)

/** Zeroes what is behind the first `prefix` bits. */
static void mask(uint8_t ip[16], unsigned prefix)
{
    for (unsigned bit = prefix; bit < 128; bit++)
        ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static int compare(const void *left, const void *right)
{
    const struct turn_network *a = left, *b = right;
    if (a->address.family != b->address.family)
        return a->address.family < b->address.family ? -1 : 1;
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix ? -1 : 1;
    return memcmp(a->address.ip, b->address.ip, sizeof(a->address.ip));
}

void turn_network_set_init(struct turn_network_set *set, const struct turn_network *networks,
                           size_t count)
{
    *set = (struct turn_network_set){ .count = count };
    set->networks = memory_new_array(struct turn_network, count);
    for (size_t i = 0; i < count; i++) {
        struct turn_network *copy = &set->networks[i];
        *copy = networks[i];
        ensure(copy->prefix <= PREFIX_MAX(copy->address.family));
        mask(copy->address.ip, copy->prefix);
    }
    if (count > 0)
        qsort(set->networks, count, sizeof(*set->networks), compare);
}

void turn_network_set_done(struct turn_network_set *set)
{
    memory_free_at(&set->networks);
    *set = (struct turn_network_set){ 0 };
}

/** The first network that is not before `wanted`. */
static size_t lower_bound(const struct turn_network_set *set, const struct turn_network *wanted)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&set->networks[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int turn_network_set_match(const struct turn_network_set *set, const struct net_address *address)
{
    struct turn_network wanted = { .address = { .family = address->family } };
    wanted.prefix = (uint8_t)PREFIX_MAX(address->family);
    // one search per prefix length that occurs, longest first
    for (;;) {
        memcpy(wanted.address.ip, address->ip, sizeof(wanted.address.ip));
        mask(wanted.address.ip, wanted.prefix);
        size_t at = lower_bound(set, &wanted);
        if (at == set->count || set->networks[at].address.family != address->family)
            return -1;
        if (set->networks[at].prefix == wanted.prefix &&
            memcmp(set->networks[at].address.ip, wanted.address.ip, 16) == 0)
            return wanted.prefix;
        // the next shorter one: at the same prefix only greater addresses follow
        if (set->networks[at].prefix < wanted.prefix)
            wanted.prefix = set->networks[at].prefix;
        else if (wanted.prefix > 0)
            wanted.prefix--;
        else
            return -1;
    }
}

int turn_network_parse(const char *text, struct turn_network *ret_network)
{
    struct bytes rest = bytes_of_text(text);
    struct bytes ip_text = text_take_until(&rest, '/');
    char ip[NET_ADDRESS_TEXT_MAX];
    struct turn_network network;
    if (text_copy(ip, sizeof(ip), ip_text) != 0 ||
        net_address_parse_ip(ip, 0, &network.address) != 0)
        return -EINVAL;
    uint64_t prefix = PREFIX_MAX(network.address.family);
    // `rest` is NULL without a slash, empty with nothing behind it
    if (rest.data && (rest.size > 3 || text_parse_u64(rest, prefix, &prefix) != 0))
        return -EINVAL;
    struct net_address plain = net_address_unmapped(&network.address);
    if (plain.family != network.address.family && prefix >= 96) {
        network.address = plain;
        prefix -= 96;
    }
    network.prefix = (uint8_t)prefix;
    struct net_address masked = network.address;
    mask(masked.ip, network.prefix);
    if (!net_address_same_ip(&masked, &network.address))
        return -EINVAL;
    *ret_network = network;
    return 0;
}
