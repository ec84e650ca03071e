/** Private to this folder and its tests. */
#pragma once

#include "base/compiler.h"

/**
 * file_open_beneath without openat2 (Linux before 5.6, or a sandbox), before the check for a
 * regular file: walks part by part and follows no symbolic links, which is stricter than needed.
 */
must_check int file_open_by_parts(int root_fd, const char *path);
