// A configuration file of any bytes: parsed, written back, and every value is within its limits.
#include "admin/options_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options options, again;
    struct options_problems problems = { 0 };
    options_init(&options);
    options_init(&again);
    options_parse(&options, "fuzz", bytes_of(data, size), &problems);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        static char text[128 * 1024];
        char expected_text[512];
        struct text_builder out = text_builder_of(text, sizeof(text));
        struct text_builder expected = text_builder_of(expected_text, sizeof(expected_text));
        option_write_value(row, &options.values, &out);
        // what was accepted is accepted again, and means the same
        if (row->type == OPTION_SECRET || out.truncated)
            continue;
        ensure(option_value_parse(row, bytes_of(text, out.length), option_field(row, &again.values),
                                  &expected) == 0);
        ensure(option_values_equal(row, &options.values, &again.values));
    }
    options_problems_done(&problems);
    options_done(&again);
    options_done(&options);
    return 0;
}
