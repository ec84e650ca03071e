#include "proto/turn/turn_ports.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

/*
 * A port is one 64-bit word that changes by compare-and-swap only:
 *
 *      63 62 61              44 43                                0
 *     +-----+------------------+----------------------------------+
 *     | 0 0 |                   0                                 |  free
 *     | 0 1 |                   0           | worker (32 bits)    |  taken
 *     | 1 0 |        0         |  random bits of the token        |  reserved
 *     +-----+------------------+----------------------------------+
 *
 * and a RESERVATION-TOKEN (RFC 8656 section 18.13) is
 *
 *      63          60 59           44 43                          0
 *     | address index |     port     |  random bits               |
 *
 * so that a token works once, and a token whose port was freed and reserved anew does not.
 */
#define STATE_TAKEN    (1ull << 62)
#define STATE_RESERVED (2ull << 62)
#define STATE_MASK     (3ull << 62)
#define RANDOM_BITS    44
#define RANDOM_MASK    ((1ull << RANDOM_BITS) - 1)

/** Random picks before the range is walked: they do in all but a nearly full range. */
#define RANDOM_PICKS 16

_Static_assert(TURN_RELAY_ADDRESSES_MAX <= 16, "the index has four bits in a token");

struct turn_ports {
    size_t address_count;
    struct turn_relay_address addresses[TURN_RELAY_ADDRESSES_MAX];
    uint16_t port_min;
    uint32_t port_count; /**< of one address */
    _Atomic uint32_t taken;
    _Atomic uint64_t *words; /**< port_count of the first address, then of the second, ... */
};

struct turn_ports *turn_ports_new(const struct turn_ports_config *config)
{
    ensure(config->address_count >= 1 && config->address_count <= TURN_RELAY_ADDRESSES_MAX);
    ensure(config->port_min >= 1 && config->port_min <= config->port_max);
    uint32_t port_count = (uint32_t)config->port_max - config->port_min + 1u;
    struct turn_ports *ports = memory_new(struct turn_ports);
    ports->words = memory_new_array(_Atomic uint64_t, config->address_count *port_count);
    ports->address_count = config->address_count;
    memcpy(ports->addresses, config->addresses,
           config->address_count * sizeof(ports->addresses[0]));
    ports->port_min = config->port_min;
    ports->port_count = port_count;
    return ports;
}

struct turn_ports *turn_ports_free(struct turn_ports *ports)
{
    if (!ports)
        return NULL;
    memory_free_at(&ports->words);
    memory_free_at(&ports);
    return NULL;
}

size_t turn_ports_address_count(const struct turn_ports *ports)
{
    return ports->address_count;
}

const struct turn_relay_address *turn_ports_address(const struct turn_ports *ports, size_t index)
{
    ensure(index < ports->address_count);
    return &ports->addresses[index];
}

int turn_ports_find_address(const struct turn_ports *ports, const struct net_address *ip)
{
    struct net_address plain = net_address_unmapped(ip);
    // a socket bound to the wildcard address has no address of its own
    if (net_address_is_unspecified(&plain))
        return -ENOENT;
    for (size_t i = 0; i < ports->address_count; i++) {
        if (net_address_same_ip(&ports->addresses[i].told, &plain) ||
            net_address_same_ip(&ports->addresses[i].bind, &plain))
            return (int)i;
    }
    return -ENOENT;
}

/** The word of a port, or NULL outside of the range. */
static _Atomic uint64_t *word_of(const struct turn_ports *ports, size_t index, uint32_t port)
{
    if (index >= ports->address_count || port < ports->port_min ||
        port - ports->port_min >= ports->port_count)
        return NULL;
    return &ports->words[index * ports->port_count + (port - ports->port_min)];
}

static bool change(_Atomic uint64_t *word, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static bool is_free(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed) == 0;
}

/** What a search looks for. */
struct wish {
    struct turn_ports *ports;
    size_t index;
    uint64_t taken;    /**< the word of a taken port */
    uint64_t reserved; /**< the word of the next higher one, or 0: no pair */
};

/** Takes `port`, and reserves the one after it if that is wished. */
static bool take(const struct wish *wish, uint32_t port)
{
    _Atomic uint64_t *word = word_of(wish->ports, wish->index, port);
    if (!is_free(word))
        return false;
    if (wish->reserved == 0)
        return change(word, 0, wish->taken);
    _Atomic uint64_t *next = word_of(wish->ports, wish->index, port + 1);
    if (!is_free(next) || !change(word, 0, wish->taken))
        return false;
    if (change(next, 0, wish->reserved))
        return true;
    atomic_store_explicit(word, 0, memory_order_release);
    return false;
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/** A random stride that visits all of `count` places before it returns to the first. */
static uint32_t random_stride(struct random *random, uint32_t count)
{
    uint32_t stride = random_below(random, count);
    while (greatest_common_divisor(stride, count) != 1)
        stride = stride + 1 < count ? stride + 1 : 1;
    return stride;
}

/** `count` places from `first` on, `step` ports apart. Returns the port or 0. */
static uint32_t search(const struct wish *wish, uint32_t first, uint32_t step, uint32_t count,
                       struct random *random)
{
    for (unsigned i = 0; i < RANDOM_PICKS; i++) {
        uint32_t port = first + step * random_below(random, count);
        if (take(wish, port))
            return port;
    }
    // a walk in a random order, so that what follows a known port cannot be told either
    uint32_t stride = random_stride(random, count);
    uint32_t place = random_below(random, count);
    for (uint32_t i = 0; i < count; i++) {
        if (take(wish, first + step * place))
            return first + step * place;
        place = (place + stride) % count;
    }
    return 0;
}

int turn_ports_take(struct turn_ports *ports, size_t index, enum turn_port_parity parity,
                    uint32_t worker, struct random *random, uint16_t *ret_port, uint64_t *ret_token)
{
    ensure(index < ports->address_count && worker != TURN_PORT_FREE);
    uint64_t secret = random_u64(random) & RANDOM_MASK;
    struct wish wish = {
        .ports = ports,
        .index = index,
        .taken = STATE_TAKEN | worker,
        .reserved = ret_token ? STATE_RESERVED | secret : 0,
    };
    bool even = parity == TURN_PORT_EVEN || ret_token;
    uint32_t first = ports->port_min;
    uint32_t end = first + ports->port_count - (ret_token ? 1 : 0); // of the first of a pair
    uint32_t step = even ? 2 : 1;
    if (even && first % 2 == 1)
        first++;
    if (first >= end)
        return -EADDRNOTAVAIL;
    uint32_t port = search(&wish, first, step, (end - first + step - 1) / step, random);
    if (port == 0)
        return -EADDRNOTAVAIL;
    atomic_fetch_add_explicit(&ports->taken, ret_token ? 2 : 1, memory_order_relaxed);
    *ret_port = (uint16_t)port;
    if (ret_token)
        *ret_token = (uint64_t)index << 60 | (uint64_t)(port + 1) << RANDOM_BITS | secret;
    return 0;
}

/** The word that a token speaks of, or NULL. */
static _Atomic uint64_t *word_of_token(const struct turn_ports *ports, uint64_t token)
{
    return word_of(ports, token >> 60, (uint16_t)(token >> RANDOM_BITS));
}

int turn_ports_claim(struct turn_ports *ports, uint64_t token, uint32_t worker, size_t *ret_index,
                     uint16_t *ret_port)
{
    ensure(worker != TURN_PORT_FREE);
    _Atomic uint64_t *word = word_of_token(ports, token);
    if (!word || !change(word, STATE_RESERVED | (token & RANDOM_MASK), STATE_TAKEN | worker))
        return -ENOENT;
    *ret_index = token >> 60;
    *ret_port = (uint16_t)(token >> RANDOM_BITS);
    return 0;
}

void turn_ports_expire(struct turn_ports *ports, uint64_t token)
{
    _Atomic uint64_t *word = word_of_token(ports, token);
    if (word && change(word, STATE_RESERVED | (token & RANDOM_MASK), 0))
        atomic_fetch_sub_explicit(&ports->taken, 1, memory_order_relaxed);
}

void turn_ports_give_back(struct turn_ports *ports, size_t index, uint16_t port)
{
    _Atomic uint64_t *word = word_of(ports, index, port);
    ensure(word);
    uint64_t before = atomic_exchange_explicit(word, 0, memory_order_acq_rel);
    ensure((before & STATE_MASK) == STATE_TAKEN);
    atomic_fetch_sub_explicit(&ports->taken, 1, memory_order_relaxed);
}

uint32_t turn_ports_owner(const struct turn_ports *ports, size_t index, uint16_t port)
{
    _Atomic uint64_t *word = word_of(ports, index, port);
    uint64_t value = word ? atomic_load_explicit(word, memory_order_acquire) : 0;
    return (value & STATE_MASK) == STATE_TAKEN ? (uint32_t)value : TURN_PORT_FREE;
}

uint32_t turn_ports_taken(const struct turn_ports *ports)
{
    return atomic_load_explicit(&ports->taken, memory_order_relaxed);
}
