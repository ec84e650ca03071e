#include "base/compiler.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ensure_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "roost: internal error: %s does not hold at %s:%d\n", condition, file, line);
    abort();
}
