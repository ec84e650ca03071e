#include "media/payload.h"

#include <errno.h>

int payload_inspect(const struct codec *codec, struct bytes payload, bool marker,
                    struct payload_info *ret_info)
{
    if (payload.size == 0)
        return -ENODATA;
    struct payload_info info = {
        .picture_id_at = PAYLOAD_NONE,
        .tl0_at = PAYLOAD_NONE,
    };
    int result = codec->inspect(payload, marker, &info);
    if (result < 0)
        return result;
    *ret_info = info;
    return 0;
}
