// Opening files below a folder from names that strangers chose.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "runtime/files.h"
#include "runtime/files_int.h"

int file_open_root(const char *folder)
{
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/** O_NONBLOCK: opening a FIFO that someone left there must not hang. */
#define BENEATH_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

int file_open_by_parts(int root_fd, const char *path)
{
    struct bytes rest = bytes_of_text(path);
    if (rest.size == 0)
        return -ENOENT;
    if (rest.data[0] == '/')
        return -EXDEV;
    int at = root_fd;
    while (rest.size > 0) {
        char name[NAME_MAX + 1];
        struct bytes part = text_take_until(&rest, '/');
        if (part.size == 0 || text_equal(part, "."))
            continue;
        int error = text_equal(part, "..") ? -EXDEV : text_copy(name, sizeof(name), part);
        int flags = rest.size > 0 ? O_PATH | O_DIRECTORY | O_CLOEXEC : BENEATH_FLAGS;
        int next = error < 0 ? error : openat(at, name, flags | O_NOFOLLOW);
        if (next == -1)
            next = errno == ELOOP ? -EXDEV : -errno;
        if (at != root_fd)
            close(at);
        if (next < 0)
            return next;
        at = next;
    }
    return at == root_fd ? -EISDIR : at;
}

static int open_beneath(int root_fd, const char *path)
{
    struct open_how how = {
        .flags = BENEATH_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    // EAGAIN: the kernel could not be sure because of a rename elsewhere on the path
    for (int attempt = 0; attempt < 8; attempt++) {
        long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno == ENOSYS || errno == EPERM)
            return file_open_by_parts(root_fd, path);
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int file_open_beneath(int root_fd, const char *path)
{
    int fd = open_beneath(root_fd, path);
    if (fd < 0)
        return fd;
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (error == 0 && !S_ISREG(status.st_mode))
        error = S_ISDIR(status.st_mode) ? -EISDIR : -EACCES;
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}
