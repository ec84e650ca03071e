#include "runtime/ephemeral_ports.h"

#include "base/memory.h"
#include "base/text.h"
#include "runtime/files.h"

#define FOLDER   "/proc/sys/net/ipv4/"
#define FILE_MAX (1u << 20)

static bool parse_port(struct bytes text, uint64_t *ret_port)
{
    return text_parse_u64(text, UINT16_MAX, ret_port) == 0;
}

/** Whether "3000,40000-50000" holds `port`; `ret_last` gets the end of the part it stands in. */
static bool is_reserved(struct bytes reserved, uint64_t port, uint64_t *ret_last)
{
    while (reserved.size > 0) {
        struct bytes part = text_take_until(&reserved, ',');
        uint64_t low, high;
        if (!parse_port(text_take_until(&part, '-'), &low))
            continue;
        if (!part.data || !parse_port(part, &high))
            high = low;
        if (port >= low && port <= high) {
            *ret_last = high;
            return true;
        }
    }
    return false;
}

/** Files of /proc/sys end with a newline. */
static struct bytes line_of(const char *text)
{
    struct bytes rest = bytes_of_text(text ? text : "");
    return text_take_until(&rest, '\n');
}

bool ephemeral_ports_overlap_in(const char *range, const char *reserved, uint16_t first,
                                uint16_t last)
{
    struct bytes rest = line_of(range);
    uint64_t low, high;
    if (!parse_port(text_take_until(&rest, '\t'), &low) || !parse_port(rest, &high))
        return true;
    uint64_t end = min_of((uint64_t)last, high);
    for (uint64_t port = max_of((uint64_t)first, low); port <= end; port++) {
        if (!is_reserved(line_of(reserved), port, &port))
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
