#include "runtime/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "runtime/files.h"

static int affinity(cpu_set_t *ret_set)
{
    return sched_getaffinity(0, sizeof(*ret_set), ret_set) < 0 ? -errno : 0;
}

/** Cores by one cgroup v2 "cpu.max" file ("max 100000" or "quota period"), rounded up; 0: none. */
static unsigned quota_of(const char *path)
{
    char *text = NULL;
    size_t size;
    if (file_read(path, 256, &text, &size) < 0)
        return 0;
    struct bytes rest = bytes_of(text, size);
    struct bytes line = text_take_until(&rest, '\n');
    struct bytes first = text_take_until(&line, ' ');
    uint64_t quota, period;
    unsigned cores = 0;
    if (text_parse_u64(first, UINT32_MAX, &quota) == 0 &&
        text_parse_u64(line, UINT32_MAX, &period) == 0 && period > 0)
        cores = (unsigned)((quota + period - 1) / period);
    free(text);
    return cores;
}

/** The process's path in the v2 hierarchy: the line "0::/path" of /proc/self/cgroup. */
static void own_cgroup(char *out, size_t capacity)
{
    out[0] = '\0';
    char *text = NULL;
    size_t size;
    if (file_read("/proc/self/cgroup", 65536, &text, &size) < 0)
        return;
    struct bytes rest = bytes_of(text, size);
    while (rest.size > 0) {
        struct bytes line = text_take_until(&rest, '\n');
        if (!text_starts_with(line, "0::/"))
            continue;
        line = bytes_of(line.data + 3, line.size - 3);
        if (text_copy(out, capacity, line) < 0)
            out[0] = '\0';
    }
    free(text);
}

/** The tightest quota of the process's cgroup and its parents; 0: none. */
static unsigned quota_cores(void)
{
    char group[512], path[640];
    own_cgroup(group, sizeof(group));
    unsigned tightest = 0;
    for (;;) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
        unsigned cores = quota_of(path);
        if (cores > 0 && (tightest == 0 || cores < tightest))
            tightest = cores;
        char *last = strrchr(group, '/');
        if (!last)
            return tightest;
        *last = '\0';
    }
}

unsigned cpu_usable_count(void)
{
    cpu_set_t set;
    unsigned cores = affinity(&set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_cores();
    if (quota > 0 && quota < cores)
        cores = quota;
    return max_of(cores, 1u);
}

int cpu_pin(unsigned n)
{
    cpu_set_t usable, one;
    int error = affinity(&usable);
    if (error < 0)
        return error;
    n %= (unsigned)max_of(CPU_COUNT(&usable), 1);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &usable) || n-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
    }
    return -EINVAL;
}
