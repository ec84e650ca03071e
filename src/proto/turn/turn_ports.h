/**
 * Who has which relay port. One table for all workers, so that any worker may allocate any port of
 * the range, and a datagram whose peer is a relayed address of this server finds the worker that
 * has it without a system call. Lock-free; every function may be called from any thread.
 *
 * A relay address is a pair: where sockets bind, and what clients are told (RFC 8656 section 7.2
 * says "relayed transport address"; behind a cloud's 1:1 NAT the two differ).
 */
#pragma once

#include "base/address.h"
#include "base/random.h"

#define TURN_RELAY_ADDRESSES_MAX 16
/** turn_ports_owner: nobody has the port. */
#define TURN_PORT_FREE UINT32_MAX

struct turn_relay_address {
    struct net_address bind; /**< port 0 */
    struct net_address told; /**< port 0; equal to `bind` without a NAT in between */
};

struct turn_ports_config {
    const struct turn_relay_address *addresses; /**< copied */
    size_t address_count;                       /**< 1 to TURN_RELAY_ADDRESSES_MAX */
    uint16_t port_min;
    uint16_t port_max; /**< inclusive */
};

struct turn_ports;

/** Never NULL. 512 KB per relay address. */
struct turn_ports *turn_ports_new(const struct turn_ports_config *config);
/** Accepts NULL; returns NULL. */
struct turn_ports *turn_ports_free(struct turn_ports *ports);

/** How many relay addresses there are, of both families. */
size_t turn_ports_address_count(const struct turn_ports *ports);
/** One of them, by its place in the configuration. */
const struct turn_relay_address *turn_ports_address(const struct turn_ports *ports, size_t index);
/**
 * The relay address whose `told` or `bind` IP this is; -ENOENT when it is none. Needs no port: for
 * telling "one of ours" from the rest of the world.
 */
must_check int turn_ports_find_address(const struct turn_ports *ports,
                                       const struct net_address *ip);

enum turn_port_parity {
    TURN_PORT_ANY,
    TURN_PORT_EVEN,
};

/**
 * Takes a random free port of relay address `index` for `worker` (unpredictable: RFC 8656 section
 * 7.2). With `ret_token` the next higher port is reserved with it (EVEN-PORT with the R bit) and
 * the token to claim it with is returned. Returns 0, or -EADDRNOTAVAIL when none is free.
 */
must_check int turn_ports_take(struct turn_ports *ports, size_t index, enum turn_port_parity parity,
                               uint32_t worker, struct random *random, uint16_t *ret_port,
                               uint64_t *ret_token);
/**
 * Claims what a RESERVATION-TOKEN reserves (once). Returns 0 or -ENOENT: unknown, used or expired.
 */
must_check int turn_ports_claim(struct turn_ports *ports, uint64_t token, uint32_t worker,
                                size_t *ret_index, uint16_t *ret_port);
/** Frees a reserved port that nobody has claimed (after 30 s); else does nothing. */
void turn_ports_expire(struct turn_ports *ports, uint64_t token);
/** Gives a taken or claimed port back. */
void turn_ports_give_back(struct turn_ports *ports, size_t index, uint16_t port);
/** The worker that has a port (for cross-worker delivery), or TURN_PORT_FREE. */
uint32_t turn_ports_owner(const struct turn_ports *ports, size_t index, uint16_t port);
/** Ports taken or reserved now, of all addresses. */
uint32_t turn_ports_taken(const struct turn_ports *ports);
