#include "runtime/ephemeral_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/files.h"

#define FOLDER   "/proc/sys/net/ipv4/"
#define FILE_MAX (1u << 20)

/** Whether "3000,40000-50000" holds `port`; `ret_last` gets the end of the part it stands in. */
static bool is_reserved(const char *reserved, unsigned port, unsigned *ret_last)
{
    while (reserved && *reserved) {
        unsigned low = 0, high = 0;
        int parts = sscanf(reserved, "%u-%u", &low, &high);
        if (parts == 1)
            high = low;
        if (parts >= 1 && port >= low && port <= high) {
            *ret_last = high;
            return true;
        }
        reserved = strchr(reserved, ',');
        reserved = reserved ? reserved + 1 : NULL;
    }
    return false;
}

bool ephemeral_ports_overlap_in(const char *range, const char *reserved, uint16_t first,
                                uint16_t last)
{
    unsigned low, high;
    if (sscanf(range, "%u %u", &low, &high) != 2)
        return true;
    unsigned end = min_of((unsigned)last, high);
    for (unsigned port = max_of((unsigned)first, low); port <= end; port++) {
        if (!is_reserved(reserved, port, &port))
            return true;
    }
    return false;
}

bool ephemeral_ports_overlap(uint16_t first, uint16_t last)
{
    cleanup(memory_free_at) char *range = NULL;
    cleanup(memory_free_at) char *reserved = NULL;
    size_t size;
    if (file_read(FOLDER "ip_local_port_range", FILE_MAX, &range, &size) < 0)
        return true;
    if (file_read(FOLDER "ip_local_reserved_ports", FILE_MAX, &reserved, &size) < 0)
        reserved = NULL;
    return ephemeral_ports_overlap_in(range, reserved, first, last);
}
