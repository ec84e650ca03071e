/** The addresses of this machine's interfaces: relays keep off them whatever they are just now. */
#pragma once

#include "base/address.h"

/** As last read; zeroed at the start. */
struct turn_own {
    struct net_address *items;
    size_t count;
};

/**
 * Reads them again. Returns 1 when they differ from those before, 0 when not, or a negative errno:
 * then the ones before stay, as without descriptors (-EMFILE) nothing can be read.
 */
must_check int turn_own_read(struct turn_own *own);
void turn_own_done(struct turn_own *own);
