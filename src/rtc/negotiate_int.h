/** One answer in the making: private to the negotiate*.c files. */
#pragma once

#include <errno.h>

#include "proto/sdp/sdp.h"
#include "rtc/negotiate.h"

struct rtc_negotiation {
    uint64_t session_id;
    uint64_t version;
    bool answered;
    struct rtc_negotiated result;
    struct sdp *memory; /**< what the result points to */
    uint32_t next_slot[2];
    /** An offer of ours that waits for its answer, as if all of it were agreed on. */
    bool offering;
    struct rtc_negotiated offered;
    struct sdp *offered_memory;
};

/** The payload types of one BUNDLE: each must mean the same everywhere (RFC 9143, 9.1). */
struct negotiation_payload_type {
    struct bytes name;
    uint32_t clock_rate_hz;
};

struct negotiation_work {
    const struct sdp *offer; /**< what the client says, also when that is an answer */
    struct sdp *answer;      /**< what we say */
    struct sdp *memory;      /**< what the result points to: lives as long as the result */
    const struct rtc_negotiation_local *local;
    struct random *random;
    const struct rtc_negotiated *before; /**< what was agreed on; NULL at first */
    /** What `offer` answers: it is the client's answer to an offer of ours. NULL: it is an offer.
     */
    const struct rtc_negotiated *offered;
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

/** What was said of a section before, by us or by both; NULL: it is new. */
static inline const struct rtc_section *
negotiation_section_before(const struct negotiation_work *work, size_t index)
{
    const struct rtc_negotiated *known = work->offered ? work->offered : work->before;
    return known && index < known->section_count ? &known->sections[index] : NULL;
}

/** What a section may be at most; NULL: no limit is given. */
static inline const struct rtc_section_limit *negotiation_limit(const struct negotiation_work *work,
                                                                size_t index)
{
    return index < work->local->limit_count ? &work->local->limits[index] : NULL;
}

/**
 * Agrees on codecs for one section: fills `section->codecs` (NULL: none in common) and the formats,
 * rtpmap, fmtp and rtcp-fb of the answer. Returns 0 or -EINVAL.
 */
must_check int negotiation_codecs(struct negotiation_work *work, size_t index,
                                  const struct sdp_section *offered, struct rtc_section *section,
                                  struct sdp_section *answered);

/** Writes a codec: formats, rtpmap, fmtp and rtcp-fb. */
void negotiation_write_codec(struct sdp *sdp, struct sdp_section *section,
                             const struct rtc_codec *codec);

/** Gives a section its slot's numbers, which it keeps for the whole session. */
void negotiation_identify_slot(struct negotiation_work *work, struct rtc_section *section);
/** Writes what we send in a slot. */
void negotiation_write_slot(struct negotiation_work *work, const struct rtc_section *section,
                            struct sdp_section *answered);
/** The direction that we write for a role of the client. */
enum sdp_direction negotiation_direction(enum rtc_role role);
/** What sections of the kind may have of header extensions. */
uint32_t negotiation_extensions(enum rtc_kind kind);
/** Whether both are texts as ICE wants them (RFC 8839, 5.4). */
bool negotiation_credentials_valid(struct bytes ufrag, struct bytes pwd);
/** Takes the client's side of ICE from the section whose transport is used. Returns 0 or -EINVAL.
 */
must_check int negotiation_take_ice(struct negotiation_work *work,
                                    const struct sdp_section *tagged);
/** The same of DTLS. */
must_check int negotiation_take_dtls(struct negotiation_work *work,
                                     const struct sdp_section *tagged);
/** Everything was stopped: the transport stays as it was. */
void negotiation_keep_transport(struct negotiation_work *work, const struct rtc_negotiated *before);
/** Writes a description of ours, the next one of the session; heap. */
char *negotiation_finish(struct rtc_negotiation *negotiation, struct sdp *ours);
/** Gives up an offer of ours that waits. */
void negotiation_forget_offer(struct rtc_negotiation *negotiation);
/** Writes our side of the transport into each section taken, candidates into that of `tagged`. */
void negotiation_write_transport(struct negotiation_work *work, struct bytes tagged,
                                 enum sdp_setup setup);
/** A copy that lives as long as the result, of a text below RTC_ICE_TEXT_SIZE. */
const char *negotiation_keep_text(struct negotiation_work *work, struct bytes text);
/** Writes the section of data channels that we take. */
void negotiation_write_data(struct sdp *sdp, struct sdp_section *section);

/** Takes the section of data channels, when it is one that we take. Returns 0 or -EINVAL. */
must_check int negotiation_data(struct negotiation_work *work, size_t index,
                                const struct sdp_section *offered, struct sdp_section *answered);

/** Answers one section. Transport attributes are added later. Returns 0 or -EINVAL. */
must_check int negotiation_section(struct negotiation_work *work, size_t index);
