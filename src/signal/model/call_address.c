// Addresses that can be called: those of rooms are told from those of users.
#include <string.h>

#include "signal/model/call_rooms.h"

bool call_address_room(const char *address, char *out)
{
    size_t size = strlen(address), suffix = strlen(CALL_ROOM_SUFFIX);
    if (size <= suffix || strcmp(address + size - suffix, CALL_ROOM_SUFFIX) != 0)
        return false;
    if (out) {
        memcpy(out, address, size - suffix);
        out[size - suffix] = '\0';
    }
    return true;
}
