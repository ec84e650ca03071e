// Arbitrary text as a candidate line; what is taken must be written and read back the same.
#include <string.h>

#include "proto/ice/ice_candidate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ice_candidate candidate, again;
    if (ice_candidate_parse(bytes_of(data, size), &candidate) < 0)
        return 0;
    char line[ICE_CANDIDATE_TEXT_MAX];
    struct text_builder text = text_builder_of(line, sizeof(line));
    ice_candidate_write(&candidate, &text);
    ensure(!text.truncated);
    ensure(ice_candidate_parse(bytes_of(line, text.length), &again) == 0);
    ensure(again.type == candidate.type && again.transport == candidate.transport);
    ensure(again.priority == candidate.priority && again.component == candidate.component);
    ensure(net_address_equal(&again.address, &candidate.address));
    ensure(strcmp(again.name, candidate.name) == 0);
    return 0;
}
