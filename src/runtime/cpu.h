/** Cores that this process may use. */
#pragma once

#include "base/compiler.h"

/** By affinity and the cgroup's CPU quota (rounded up); at least 1. */
unsigned cpu_usable_count(void);
/** Pins the calling thread to the n-th usable core (modulo their number). 0 or negative errno. */
must_check int cpu_pin(unsigned n);
