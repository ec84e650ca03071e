/** Files: whole reads, atomic writes, folders, and opening beneath a root. These may block. */
#pragma once

#include <time.h>

#include "base/bytes.h"

/**
 * Reads a whole file of at most `limit` bytes. `*ret_data` is heap memory with a zero byte behind
 * (not counted in `*ret_size`); the caller frees. Returns 0, -EFBIG, or what open and read say.
 */
must_check int file_read(const char *path, size_t limit, char **ret_data, size_t *ret_size);
/** file_read from an open descriptor, from its start; of a pipe, what comes until its end. */
must_check int file_read_fd(int fd, size_t limit, char **ret_data, size_t *ret_size);
/**
 * Writes a new file beside `path`, syncs it and renames it over: readers see all or nothing, also
 * after a crash. `mode` as given (0600 for secrets), whatever the umask.
 */
must_check int file_write_atomic(const char *path, struct bytes content, unsigned mode);
/** Makes sure that the name of a file is in its folder after a power cut too. */
must_check int file_sync_folder(const char *path);
/** 1 or 0, or a negative errno when that cannot be told. */
must_check int file_exists(const char *path);
/** mkdir -p; 0 when it is there already. The last one gets `mode`, parents 0755. */
must_check int file_make_folder(const char *path, unsigned mode);
/** Joins with one '/'. Returns 0 or -ENAMETOOLONG with `out` empty. */
must_check int file_join(char *out, size_t capacity, const char *folder, const char *name);

struct file_entry {
    char name[256];
    bool folder;
    uint64_t size;
    uint64_t modified_unix_us;
};

/**
 * Entries of a folder (without "." and "..") sorted by name, at most `limit`; heap, the caller
 * frees. Returns 0, -E2BIG when there are more, or another negative errno.
 */
must_check int file_list(const char *folder, size_t limit, struct file_entry **ret_entries,
                         size_t *ret_count);

/** Opens a folder to serve from. Returns a descriptor or a negative errno. */
must_check int file_open_root(const char *folder);
/**
 * Opens a regular file for reading by a relative path that must stay beneath `root_fd`: "..",
 * absolute paths and symbolic links that leave are -EXDEV, anything but a regular file -EISDIR or
 * -EACCES. Returns a descriptor (close it) or a negative errno.
 */
must_check int file_open_beneath(int root_fd, const char *path);

/** A file's content in memory, read-only. */
struct file_map {
    struct bytes content;
    uint64_t modified_unix_us;
    bool mapped;
};

/**
 * Maps an open regular file; `fd` may be closed then. A file that another program truncates while
 * it is mapped kills the reader, so files below 256 KB are copied instead and only larger ones
 * mapped.
 */
must_check int file_map_fd(int fd, size_t limit, struct file_map *ret_map);
/** Accepts a zeroed map. */
void file_unmap(struct file_map *map);
