// Offers in a row on one negotiation (separated by a zero byte): every answer must parse.
#include <stdlib.h>
#include <string.h>

#include "proto/sdp/sdp.h"
#include "rtc/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer_one(struct rtc_negotiation *negotiation, struct random *random,
                       struct bytes offer)
{
    struct bytes candidate = bytes_of_text("1 1 udp 2130706431 192.0.2.1 3478 typ host");
    struct rtc_negotiation_local local = {
        .ice_ufrag = bytes_of_text("ufrag"),
        .ice_pwd = bytes_of_text("0123456789012345678901"),
        .candidates = &candidate,
        .candidate_count = 1,
        .fingerprint = bytes_of_text("sha-256 AA:BB"),
        .cname = bytes_of_text("roost"),
    };
    char *answer = NULL;
    const char *problem = NULL;
    if (rtc_negotiation_answer(negotiation, &local, random, offer, &answer, &problem) < 0) {
        ensure(problem && !answer);
        return;
    }
    struct sdp *sdp = NULL;
    ensure(strlen(answer) > SDP_SIZE_MAX || sdp_parse(bytes_of_text(answer), &sdp, NULL) == 0);
    const struct rtc_negotiated *result = rtc_negotiation_result(negotiation);
    for (size_t i = 0; i < result->section_count; i++) {
        const struct rtc_section *section = &result->sections[i];
        ensure(section->role == RTC_ROLE_INACTIVE || section->codecs);
        ensure(section->role != RTC_ROLE_SLOT || section->ssrc != 0);
        for (size_t c = 0; section->codecs && c < section->codecs->count; c++)
            (void)rtc_section_match(section, &section->codecs->codecs[c]);
    }
    sdp_free(sdp);
    free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random random;
    random_seeded_init(&random, 1);
    struct rtc_negotiation *negotiation = rtc_negotiation_new(&random);
    while (size > 0) {
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end ? (size_t)(end - data) : size;
        answer_one(negotiation, &random, bytes_of(data, length));
        size_t step = min_of(length + 1, size);
        data += step;
        size -= step;
    }
    rtc_negotiation_free(negotiation);
    return 0;
}
