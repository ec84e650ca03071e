#include "proto/ice/ice.h"

#include <errno.h>
#include <string.h>

#include "proto/stun/stun.h"

#define BINDING_REQUEST 0x0001

static const struct metric_description descriptions[] = {
#define METRIC METRIC_DESCRIPTION
#include "proto/ice/ice_metric.def"
#undef METRIC
};

struct metric_set ice_metric_set(const struct ice_metrics *metrics, const char *labels)
{
    return (struct metric_set){
        .descriptions = descriptions,
        .values = metrics->values,
        .count = ICE_METRIC_COUNT,
        .labels = labels,
    };
}

int ice_request_ufrag(struct bytes datagram, struct bytes *ret_ufrag)
{
    if (!stun_message_is(datagram.data, datagram.size) ||
        load_u16(datagram.data) != BINDING_REQUEST)
        return -EBADMSG;
    struct reader reader = reader_of(datagram.data, datagram.size);
    reader_skip(&reader, STUN_HEADER_SIZE);
    while (reader_left(&reader) > 0) {
        uint16_t type = reader_u16(&reader);
        uint16_t length = reader_u16(&reader);
        struct bytes value = reader_bytes(&reader, (length + 3u) & ~3u);
        if (reader.failed)
            break;
        if (type != STUN_USERNAME)
            continue;
        const uint8_t *colon = length > 0 ? memchr(value.data, ':', length) : NULL;
        if (!colon || colon == value.data)
            break;
        *ret_ufrag = bytes_of(value.data, (size_t)(colon - value.data));
        return 0;
    }
    return -EBADMSG;
}
