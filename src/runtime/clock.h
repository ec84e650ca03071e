/** The clocks. A loop reads them once per turn (loop_now_us); others should rarely need this. */
#pragma once

#include <stdint.h>

/** Microseconds of CLOCK_MONOTONIC: what every engine takes as `now_us`. Never 0. */
uint64_t clock_now_us(void);
/** Microseconds since 1970 (CLOCK_REALTIME); may jump when the system's time is set. */
uint64_t clock_unix_us(void);
