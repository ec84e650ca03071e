/** Reading parts of open files: for bodies that are streamed. These may block. */
#pragma once

#include "base/bytes.h"

struct file_facts {
    uint64_t size;
    uint64_t modified_unix_us;
};

/** Size and last change of an open file. Returns 0 or a negative errno. */
must_check int file_part_facts(int fd, struct file_facts *ret_facts);
/** Up to `size` bytes from `offset`. Returns the count, 0 at the end, or a negative errno. */
must_check long file_part_read(int fd, uint64_t offset, void *out, size_t size);
/** Closes a descriptor of files.h. */
void file_part_close(int fd);
