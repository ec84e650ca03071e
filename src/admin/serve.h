/**
 * The server process: options become the parts, the parts run until a signal stops them. One
 * function per part; order of start is order of the file, order of stop the reverse.
 */
#pragma once

#include "admin/cli.h"

/** `roost serve`: runs until SIGTERM or SIGINT. Returns an enum cli_exit. */
int serve_run(const struct cli_call *call);
