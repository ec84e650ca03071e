/** What the files about Allocate requests share. */
#pragma once

#include "proto/turn/turn_server_int.h"

/** Families as attributes carry them (section 18.6). */
#define TURN_FAMILY_IPV4 1
#define TURN_FAMILY_IPV6 2

/** What an Allocate request asks for. */
struct turn_allocate_wish {
    bool tcp;
    bool even;
    bool reserve; // the next port too
    bool has_token;
    bool mobile;
    uint8_t family;     // enum net_family
    uint8_t additional; // NET_IPV6 or NET_NONE
    uint32_t lifetime_s;
    uint64_t token;
};

/** Reads the request with the checks of section 7.2 in their order. Returns 0 or the error code. */
must_check int turn_allocate_read(const struct turn_request *request,
                                  struct turn_allocate_wish *wish);
