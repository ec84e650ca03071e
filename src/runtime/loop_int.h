/** Shared by the loop's own files. */
#pragma once

#include "runtime/loop.h"

/** Runs the timers that are due, each at most once. */
void loop_timers_run(struct loop *loop);
