// Candidates that are put into a description: lines "mid;section;ufrag;candidate", an empty line,
// and the description. What comes out holds all lines that went in, and takes the same ones no
// second time.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/text.h"
#include "proto/sdp/sdp_gathered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sdp_gathered read_line(struct bytes line)
{
    struct sdp_gathered one = { .mid = text_take_until(&line, ';') };
    struct bytes section = text_take_until(&line, ';');
    one.section = section.size > 0 ? section.data[0] - '0' : -1;
    one.ice_ufrag = text_take_until(&line, ';');
    one.candidate = line;
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sdp_gathered candidates[SDP_GATHERED_MAX + 1];
    size_t count = 0;
    struct bytes rest = bytes_of(data, size);
    while (rest.size > 0 && count <= SDP_GATHERED_MAX) {
        struct bytes line = text_take_until(&rest, '\n');
        if (line.size == 0)
            break;
        candidates[count++] = read_line(line);
    }
    char *once = sdp_gathered_into(rest, candidates, count);
    ensure(rest.size == 0 || strlen(once) >= strnlen((const char *)rest.data, rest.size));
    (void)sdp_gathered_ufrag(bytes_of_text(once));
    char *twice = sdp_gathered_into(bytes_of_text(once), candidates, count);
    ensure(strlen(twice) >= strlen(once));
    free(twice);
    free(once);
    return 0;
}
