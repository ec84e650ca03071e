// Payload formats: the first byte chooses the codec and the marker, the rest is the payload.
#include "media/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const struct codec *codec = codec_get((enum codec_id)((data[0] & 0x7f) % CODEC_COUNT));
    struct payload_info info;
    struct bytes payload = bytes_of(data + 1, size - 1);
    if (payload_inspect(codec, payload, data[0] & 0x80, &info) == 0) {
        ensure(info.picture_id_at == PAYLOAD_NONE || info.picture_id_at < payload.size);
        ensure(info.tl0_at == PAYLOAD_NONE || info.tl0_at < payload.size);
    }
    char text[1024];
    struct text_builder builder = text_builder_of(text, sizeof(text));
    if (codec_accepts(codec, payload))
        codec_answer(codec, payload, &builder);
    (void)codec_compatible(codec, payload, payload);
    return 0;
}
