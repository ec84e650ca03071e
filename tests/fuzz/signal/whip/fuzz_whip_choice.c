// What a WHEP viewer POSTs to choose a layer: any bytes are refused, or mean something within the
// limits.
#include "signal/whip/whip_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct whip_choice choice;
    if (whip_choice_read(bytes_of(data, size), &choice) < 0)
        return 0;
    ensure(choice.section >= -1 && choice.section <= UINT16_MAX);
    ensure(choice.layer >= -1 && choice.layer < MEDIA_LAYERS_MAX);
    ensure(choice.width >= 0 && choice.width <= UINT16_MAX);
    ensure(choice.height >= 0 && choice.height <= UINT16_MAX);
    return 0;
}
