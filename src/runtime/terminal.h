/** What standard output is connected to. */
#pragma once

#include "base/compiler.h"

bool terminal_is(int fd);
/** Its width, 80 when unknown. */
unsigned terminal_columns(int fd);
/**
 * Asks on the terminal of the process (not standard input) for a line, without showing it. Returns
 * its length, -ENOTTY without a terminal, -ENOSPC when it does not fit, -ECANCELED for none, or
 * another negative errno; `out` is then wiped.
 */
must_check int terminal_ask_secret(const char *prompt, char *out, size_t capacity);
/** Whether colours are welcome: a terminal, TERM is not "dumb", NO_COLOR is not set. */
bool terminal_has_colour(int fd);
