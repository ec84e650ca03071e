/** The ports that the system gives to sockets which ask for none (ip(7): ip_local_port_range). */
#pragma once

#include "base/compiler.h"

/**
 * Whether the system may give a port between `first` and `last` to some program: the range it
 * takes them from overlaps, and ip_local_reserved_ports does not except the overlap. True when the
 * system does not tell.
 */
bool ephemeral_ports_overlap(uint16_t first, uint16_t last);
/** The same from the texts of the two files. */
bool ephemeral_ports_overlap_in(const char *range, const char *reserved, uint16_t first,
                                uint16_t last);
