// Fragments of WHIP and WHEP clients, and what is made from them.
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "proto/sdp/sdp_fragment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct sdp_fragment fragment;
    if (sdp_fragment_parse(text, size % 2 == 0, &fragment) == 0 && fragment.ice_ufrag.data)
        free(sdp_fragment_restart_offer(text, &fragment));
    free(sdp_fragment_of_answer(text));
    return 0;
}
