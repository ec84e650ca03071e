#include "signal/access/ban_key.h"

#include <stdio.h>
#include <string.h>

void ban_key_write(const struct token_grants *grants, const struct net_address *remote,
                   const char *name, char out[ROOM_BAN_KEY_SIZE])
{
    struct net_address address = *remote;
    char ip[NET_ADDRESS_TEXT_MAX];
    if (address.family == NET_IPV6)
        memset(address.ip + 8, 0, 8);
    net_address_format_ip(&address, ip);
    int size = grants->user[0] ? snprintf(out, ROOM_BAN_KEY_SIZE, "user:%s", grants->user)
               : name          ? snprintf(out, ROOM_BAN_KEY_SIZE, "guest:%s/%s", ip, name)
                               : snprintf(out, ROOM_BAN_KEY_SIZE, "viewer:%s", ip);
    ensure(size > 0 && size < ROOM_BAN_KEY_SIZE);
}
