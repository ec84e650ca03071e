/** One answer in the making: private to the negotiate*.c files. */
#pragma once

#include <errno.h>

#include "proto/sdp/sdp.h"
#include "rtc/negotiate.h"

/** The payload types of one BUNDLE: each must mean the same everywhere (RFC 9143, 9.1). */
struct negotiation_payload_type {
    struct bytes name;
    uint32_t clock_rate_hz;
};

struct negotiation_work {
    const struct sdp *offer;
    struct sdp *answer;
    struct sdp *memory; /**< what the result points to: lives as long as the result */
    const struct rtc_negotiation_local *local;
    struct random *random;
    const struct rtc_negotiated *before; /**< NULL with the first offer */
    struct rtc_negotiated result;
    uint32_t next_slot[2]; /**< by codec_kind */
    struct negotiation_payload_type payload_types[128];
    const char *problem; /**< set before -EINVAL is returned */
};

/** Remembers why the offer is refused; returns -EINVAL. */
static inline int negotiation_refuse(struct negotiation_work *work, const char *sentence)
{
    work->problem = sentence;
    return -EINVAL;
}

/**
 * Agrees on codecs for one section: fills `section->codecs` (NULL: none in common) and the formats,
 * rtpmap, fmtp and rtcp-fb of the answer. Returns 0 or -EINVAL.
 */
must_check int negotiation_codecs(struct negotiation_work *work, const struct sdp_section *offered,
                                  struct rtc_section *section, struct sdp_section *answered);

/** Takes the section of data channels, when it is one that we take. Returns 0 or -EINVAL. */
must_check int negotiation_data(struct negotiation_work *work, size_t index,
                                const struct sdp_section *offered, struct sdp_section *answered);

/** Answers one section. Transport attributes are added later. Returns 0 or -EINVAL. */
must_check int negotiation_section(struct negotiation_work *work, size_t index);
