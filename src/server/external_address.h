/** Asks a STUN server which address the world sees us under (RFC 8489), for machines behind NAT. */
#pragma once

#include "base/address.h"
#include "base/random.h"

#define EXTERNAL_ADDRESS_PORT 3478
/** Whole time that a search may take. */
#define EXTERNAL_ADDRESS_TIMEOUT_US (4 * 1000000ull)

/**
 * `server` is "host", "host:port", or an address in the same forms ("[ipv6]:port"). Blocks: only
 * for the start of a process. `ret_address` gets port 0. Returns 0, -EINVAL (not of that form),
 * -ETIMEDOUT, or what the lookup or the socket returned.
 */
must_check int external_address_find(const char *server, struct random *random,
                                     struct net_address *ret_address);
