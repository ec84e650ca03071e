/**
 * Rooms can be called: what the model asks of whoever answers for them, as one operations table,
 * given to the call directory at its start (signal/focus implements it). The model knows nothing of
 * rooms but their addresses.
 *
 * The address of a room is its name and `@rooms`, as a conference has one among those of users
 * (RFC 4353, 5). No user and no link has such a name.
 */
#pragma once

#include "base/compiler.h"

#define CALL_ROOM_SUFFIX "@rooms"

/** Rooms that one device may be in by calls at a time: each takes a media session of the server. */
#define CALL_ROOMS_MAX 4

struct call_device;
struct token_grants;

struct call_rooms {
    /**
     * Makes a device that answers one call to the room of that name. It belongs to `self`, and goes
     * when it is left without a call. `grants`: what a token lets the caller do; NULL: none was
     * shown. Returns 0; -EACCES: the caller may not come in; -ENOENT: there is no such room;
     * -ENOSPC.
     */
    int (*answerer)(struct call_rooms *self, const char *room, const struct token_grants *grants,
                    struct call_device **ret_device);
};

/**
 * Whether an address is of a room, whose name is written to `out` (as large as the address; NULL:
 * nobody asks).
 */
bool call_address_room(const char *address, char *out);
