// Any text as the file of bridges: refused with a sentence, or whole bridges.
#include "base/memory.h"
#include "signal/mqtt/mqtt_bridge_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct mqtt_bridge_specs specs;
    if (mqtt_bridge_specs_parse(bytes_of(data, size), &specs, &problem) < 0) {
        ensure(problem.length > 0);
        return 0;
    }
    for (size_t i = 0; i < specs.count; i++)
        ensure(specs.items[i].address_count > 0 && specs.items[i].topics.count > 0);
    mqtt_bridge_specs_done(&specs);
    return 0;
}
