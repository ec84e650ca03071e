#include "runtime/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

/** Files below this are copied rather than mapped. */
#define COPY_MAX (256u << 10)

static uint64_t modified_us(const struct stat *status)
{
    return (uint64_t)status->st_mtim.tv_sec * 1000000u + (uint64_t)status->st_mtim.tv_nsec / 1000u;
}

// --- whole files ---

/** What has no places, as a pipe, is read as it comes. */
static ssize_t read_at(int fd, char *data, size_t size, size_t at)
{
    ssize_t got = pread(fd, data, size, (off_t)at);
    return got < 0 && errno == ESPIPE ? read(fd, data, size) : got;
}

/**
 * Reads until the end of the file; files of /proc have no size to trust. Keys and passwords come
 * this way, too: nothing of them is left in memory that was given back.
 */
static int read_all(int fd, size_t limit, char **ret_data, size_t *ret_size)
{
    size_t capacity = 4096, size = 0;
    char *data = memory_allocate(1, capacity + 1);
    for (;;) {
        if (size == capacity) {
            data = memory_resize_wiped(data, size, capacity * 2 + 1);
            capacity *= 2;
        }
        ssize_t got = read_at(fd, data + size, capacity - size, size);
        if (got < 0 && errno == EINTR)
            continue;
        int error = got < 0 ? -errno : size + (size_t)got > limit ? -EFBIG : 0;
        if (error < 0) {
            memory_wipe(data, capacity);
            free(data);
            return error;
        }
        size += (size_t)got;
        if (got == 0)
            break;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int file_read_fd(int fd, size_t limit, char **ret_data, size_t *ret_size)
{
    return read_all(fd, limit, ret_data, ret_size);
}

int file_read(const char *path, size_t limit, char **ret_data, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = read_all(fd, limit, ret_data, ret_size);
    close(fd);
    return error;
}

static int write_all(int fd, struct bytes content)
{
    while (content.size > 0) {
        ssize_t written = write(fd, content.data, content.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        content.data += written;
        content.size -= (size_t)written;
    }
    return 0;
}

/** The folder part of `path` ("." when it has none). */
static int folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? max_of((size_t)(slash - path), (size_t)1) : 1;
    return text_copy(out, PATH_MAX, bytes_of(slash ? path : ".", size));
}

/** Makes a rename last over a crash. */
int file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    int error = folder_of(path, folder);
    if (error < 0)
        return error;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    // some file systems cannot sync folders: then the rename is as lasting as it gets
    error = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
    close(fd);
    return error;
}

static int fill_new_file(int fd, struct bytes content, unsigned mode)
{
    if (fchmod(fd, mode) < 0)
        return -errno;
    int error = write_all(fd, content);
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    return error;
}

int file_write_atomic(const char *path, struct bytes content, unsigned mode)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof(temporary))
        return -ENAMETOOLONG;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fill_new_file(fd, content, mode);
    if (close(fd) < 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(temporary, path) < 0)
        error = -errno;
    if (error < 0) {
        unlink(temporary);
        return error;
    }
    return file_sync_folder(path);
}

// --- names and folders ---

int file_exists(const char *path)
{
    if (access(path, F_OK) == 0)
        return 1;
    return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static int make_one(const char *path, unsigned mode)
{
    if (mkdir(path, mode) == 0)
        return 0;
    int error = -errno;
    struct stat status;
    if (error == -EEXIST && stat(path, &status) == 0)
        return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
    return error;
}

int file_make_folder(const char *path, unsigned mode)
{
    char partial[PATH_MAX];
    int error = text_copy(partial, sizeof(partial), bytes_of_text(path));
    if (error < 0)
        return error;
    for (char *slash = strchr(partial + 1, '/'); *partial && slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        error = make_one(partial, 0755);
        // a parent that we may not create may still be there already further down
        if (error < 0 && error != -EACCES && error != -EROFS)
            return error;
        *slash = '/';
    }
    return make_one(partial, mode);
}

int file_join(char *out, size_t capacity, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    bool slash = length > 0 && folder[length - 1] != '/';
    int written = snprintf(out, capacity, "%s%s%s", folder, slash ? "/" : "", name);
    if (written >= 0 && (size_t)written < capacity)
        return 0;
    out[0] = '\0';
    return -ENAMETOOLONG;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

/** Fills `entry`; false for what is gone again, "." and "..". */
static bool read_entry(DIR *folder, const char *name, struct file_entry *entry)
{
    struct stat status;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dirfd(folder), name, &status, 0) < 0)
        return false;
    *entry = (struct file_entry){
        .folder = S_ISDIR(status.st_mode),
        .size = (uint64_t)status.st_size,
        .modified_unix_us = modified_us(&status),
    };
    return text_copy(entry->name, sizeof(entry->name), bytes_of_text(name)) == 0;
}

/** Reads all entries into growing memory. */
static int read_folder(DIR *stream, size_t limit, struct file_entry **entries, size_t *count)
{
    size_t capacity = 0;
    const struct dirent *found;
    while ((errno = 0, found = readdir(stream))) {
        struct file_entry entry;
        if (!read_entry(stream, found->d_name, &entry))
            continue;
        if (*count == limit)
            return -E2BIG;
        if (*count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            *entries = memory_resize(*entries, capacity * sizeof(entry));
        }
        (*entries)[(*count)++] = entry;
    }
    return -errno;
}

int file_list(const char *folder, size_t limit, struct file_entry **ret_entries, size_t *ret_count)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return -errno;
    struct file_entry *entries = NULL;
    size_t count = 0;
    int error = read_folder(stream, limit, &entries, &count);
    closedir(stream);
    if (error < 0) {
        free(entries);
        return error;
    }
    if (count > 1)
        qsort(entries, count, sizeof(*entries), compare_entries);
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}

// --- maps ---

int file_map_fd(int fd, size_t limit, struct file_map *ret_map)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if ((uint64_t)status.st_size > limit)
        return -EFBIG;
    struct file_map map = { .modified_unix_us = modified_us(&status) };
    if ((uint64_t)status.st_size < COPY_MAX) {
        char *data;
        size_t size;
        int error = read_all(fd, limit, &data, &size);
        if (error < 0)
            return error;
        map.content = bytes_of(data, size);
    } else {
        size_t size = (size_t)status.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            return -errno;
        map.content = bytes_of(data, size);
        map.mapped = true;
    }
    *ret_map = map;
    return 0;
}

void file_unmap(struct file_map *map)
{
    void *data = (void *)(uintptr_t)map->content.data;
    if (map->mapped)
        munmap(data, map->content.size);
    else
        free(data);
    *map = (struct file_map){ 0 };
}
