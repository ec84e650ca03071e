#include "runtime/file_part.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int file_part_facts(int fd, struct file_facts *ret_facts)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    *ret_facts = (struct file_facts){
        .size = (uint64_t)status.st_size,
        .modified_unix_us =
            (uint64_t)status.st_mtim.tv_sec * 1000000u + (uint64_t)status.st_mtim.tv_nsec / 1000u,
    };
    return 0;
}

long file_part_read(int fd, uint64_t offset, void *out, size_t size)
{
    ssize_t count;
    do
        count = pread(fd, out, size, (off_t)offset);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (long)count;
}

void file_part_close(int fd)
{
    close(fd);
}
