// Opus over RTP (RFC 7587): every packet stands for itself.
#include "media/codec_int.h"

int payload_opus_inspect(unused struct bytes payload, unused bool marker,
                         struct payload_info *ret_info)
{
    // the marker only says that a talk spurt begins (RFC 3551, 4.1)
    ret_info->frame_start = true;
    ret_info->layer_end = true;
    ret_info->key_frame_start = true;
    return 0;
}
