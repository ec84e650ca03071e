/** Whether this machine has an IPv6 loopback address: without one, tests over IPv6 are left out. */
#pragma once

#include "runtime/interfaces.h"

static inline bool has_ipv6_loopback(void)
{
    struct interface_address list[64];
    int count = interface_list(list, 64);
    bool found = false;
    for (int i = 0; i < count; i++)
        found |= list[i].loopback && list[i].address.family == NET_IPV6;
    return found;
}
