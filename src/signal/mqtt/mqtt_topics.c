#include "signal/mqtt/mqtt_topics.h"

#include <string.h>

void mqtt_topics_append_level(struct text_builder *out, struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (memchr("%/+#", name.data[i], 4))
            text_append_format(out, "%%%02X", name.data[i]);
        else
            text_append_bytes(out, bytes_of(name.data + i, 1));
    }
}
