/** What a kick keeps out of a room, for every binding. */
#pragma once

#include "base/address.h"
#include "signal/access/token.h"

/**
 * Writes the user, when a token vouches for one. Guests are known by address and name (people of
 * one house share an address; of IPv6 the /64 counts), so that coming anew is no way around; those
 * without a name (`name` NULL: viewers) by their address. Names fit ROOM_MEMBER_SIZE.
 */
void ban_key_write(const struct token_grants *grants, const struct net_address *remote,
                   const char *name, char out[ROOM_BAN_KEY_SIZE]);
