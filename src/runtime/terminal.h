/** What standard output is connected to. */
#pragma once

#include "base/compiler.h"

bool terminal_is(int fd);
/** Its width, 80 when unknown. */
unsigned terminal_columns(int fd);
/** Whether colours are welcome: a terminal, TERM is not "dumb", NO_COLOR is not set. */
bool terminal_has_colour(int fd);
