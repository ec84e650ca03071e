/** Turning a loop in tests until something has happened, or failing after a minute: machines that
 * run tests are shared. */
#pragma once

#include "support/check.h"

#include "runtime/clock.h"
#include "runtime/loop.h"

#define turn_until(loop, condition)                                                                \
    do {                                                                                           \
        uint64_t give_up_us_ = clock_now_us() + 60 * TIME_US_PER_S;                                \
        while (!(condition)) {                                                                     \
            if (clock_now_us() > give_up_us_)                                                      \
                fail_msg("never came true: %s", #condition);                                       \
            loop_turn((loop), 10000);                                                              \
        }                                                                                          \
    } while (0)
