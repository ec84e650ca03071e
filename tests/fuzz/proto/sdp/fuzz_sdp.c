// Session descriptions: what parses can be written, and parses again to the same text.
#include <stdlib.h>
#include <string.h>

#include "proto/sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sdp *sdp = NULL;
    struct sdp_problem problem = { 0 };
    if (sdp_parse(bytes_of(data, size), &sdp, &problem) < 0) {
        ensure(!sdp && problem.sentence);
        return 0;
    }
    char *text = sdp_write(sdp);
    struct sdp *again = NULL;
    // inherited lines are written once per section, which may be too long for the parser
    if (sdp_parse(bytes_of_text(text), &again, NULL) == 0) {
        char *second = sdp_write(again);
        ensure(strcmp(text, second) == 0);
        free(second);
    }
    sdp_free(again);
    free(text);
    sdp_free(sdp);
    return 0;
}
