/**
 * Offer and answer (RFC 8829, RFC 3264) of the server. Every section in which the client sends is a
 * publication, every receive-only section is a slot, and one section may be of data channels
 * (RFC 8841); all of them share one transport (BUNDLE). The object remembers what was agreed, so
 * that later offers may add sections, stop some, or restart ICE.
 *
 * In rooms the server only answers. In calls, whose sections are two-way, it also offers
 * (rtc_negotiation_offer): what a client is offered is made from what the other one has said.
 *
 * No I/O and no transport: the result says what the transport has to do.
 */
#pragma once

#include "base/random.h"
#include "media/codec.h"
#include "proto/rtp/extension.h"

#define RTC_MID_SIZE          16 /**< with terminator */
#define RTC_RID_SIZE          17
#define RTC_CODECS_MAX        64
#define RTC_SOURCES_MAX       16
#define RTC_RIDS_MAX          8
#define RTC_FINGERPRINTS_MAX  4
#define RTC_SECTIONS_MAX      512
#define RTC_ICE_TEXT_SIZE     257
#define RTC_PAYLOAD_TYPE_NONE 255
/** Largest message of a data channel that we take, and announce (a=max-message-size). */
#define RTC_DATA_MESSAGE_MAX (256 * 1024)

/** Bits: RTC_ROLE_BOTH has those of a publication and of a slot. */
enum rtc_role {
    RTC_ROLE_INACTIVE = 0, /**< rejected, stopped or not in use */
    RTC_ROLE_PUBLISH = 1,  /**< the client sends */
    RTC_ROLE_SLOT = 2,     /**< the client receives */
    RTC_ROLE_BOTH = 3,     /**< both: of two-way negotiations only */
};

enum rtc_kind {
    RTC_KIND_AUDIO = CODEC_AUDIO,
    RTC_KIND_VIDEO = CODEC_VIDEO,
    RTC_KIND_DATA,
    RTC_KIND_OTHER,
};

/** One payload type of a section. */
struct rtc_codec {
    const struct codec *codec;
    uint8_t payload_type;
    uint8_t rtx_payload_type; /**< RTC_PAYLOAD_TYPE_NONE: no retransmission */
    uint8_t red_payload_type; /**< of audio in RED (RFC 2198); 0: none */
    bool red_first;           /**< the client would rather send that */
    uint32_t feedback;        /**< codec_feedback bits agreed on */
    struct bytes fmtp;        /**< as answered; lives as long as the result */
};

/** Payload types in the client's order of preference; sections with equal lists share one. */
struct rtc_codec_list {
    size_t count;
    struct rtc_codec codecs[];
};

/** A stream that the client announced with a=ssrc. Those of simulcast by rid are not announced. */
struct rtc_source {
    uint32_t ssrc;
    uint32_t rtx_ssrc; /**< 0: none */
};

struct rtc_section {
    char mid[RTC_MID_SIZE];
    enum rtc_kind kind;
    enum rtc_role role;
    enum rtc_role asked; /**< what the client would have: the role without limits of ours */
    bool rejected;       /**< answered with port 0: the place may be used again by another mid */
    bool rtcp_reduced_size;
    const struct rtc_codec_list *codecs; /**< NULL when inactive and never agreed on */
    uint32_t extensions;                 /**< RTP_EXTENSION_BITs agreed on for this section */

    // publication: what the client announced
    size_t source_count;
    struct rtc_source *sources;
    size_t rid_count;
    char (*rids)[RTC_RID_SIZE]; /**< simulcast streams in the client's order */

    // slot: what we send
    uint32_t slot_index; /**< counts the slots of its kind from 0 */
    uint32_t ssrc;
    uint32_t rtx_ssrc; /**< 0 for audio */
    /** Of video with forward error correction (RFC 5109 in RFC 2198); 0: the client takes none. */
    uint8_t red_payload_type;
    uint8_t ulpfec_payload_type;

    // data channels (RTC_KIND_DATA): taken unless rejected; the role is RTC_ROLE_INACTIVE
    uint16_t sctp_port;        /**< the client's */
    uint32_t message_size_max; /**< what the client takes; UINT32_MAX: anything */
};

static inline bool rtc_section_publishes(const struct rtc_section *section)
{
    return (section->role & RTC_ROLE_PUBLISH) != 0;
}

static inline bool rtc_section_is_slot(const struct rtc_section *section)
{
    return (section->role & RTC_ROLE_SLOT) != 0;
}

struct rtc_fingerprint {
    char hash[16]; /**< "sha-256", lower case */
    uint8_t value[64];
    size_t value_size;
};

/**
 * How long receivers may hold pictures back before they show them (the playout-delay extension):
 * what we say in place of what publishers say. Both 0: shown as soon as they are decoded.
 */
struct rtc_playout_delay {
    bool set; /**< false: what publishers say is passed on */
    uint16_t min_ms;
    uint16_t max_ms; /**< at most RTC_PLAYOUT_DELAY_MAX_MS */
};

#define RTC_PLAYOUT_DELAY_MAX_MS 40950
/** With a minimum of 0 it is what browsers begin with: tells them to choose again. */
#define RTC_PLAYOUT_DELAY_FREE_MAX_MS 10000

struct rtc_negotiated {
    /** Texts below RTC_ICE_TEXT_SIZE; NULL is as good as "" before the first offer. */
    const char *local_ufrag;
    const char *local_pwd;
    const char *remote_ufrag;
    const char *remote_pwd;
    uint32_t ice_generation; /**< 0 for the first offer; one more with each ICE restart */
    bool remote_ice_lite;
    bool remote_trickle;
    /** Values of a=candidate lines in the offer. */
    size_t candidate_count;
    struct bytes *candidates;
    /** We begin the DTLS handshake: the other side waits for it (a=setup:passive in the offer, as
     *  ffmpeg says). Fixed with the first offer. */
    bool starts_dtls;
    /** The client's certificate must match one of these. */
    size_t fingerprint_count;
    struct rtc_fingerprint *fingerprints;

    struct rtp_extension_map extensions;
    struct rtc_playout_delay playout_delay; /**< of all slots */
    size_t section_count;
    struct rtc_section *sections; /**< in the order of the offer */
};

/** What a section may be at most, because of the other side of a call. */
struct rtc_section_limit {
    enum rtc_role role; /**< bits that it may have; none: it rests */
    /** Only codecs that go together with one of these are taken; NULL: all. */
    const struct rtc_codec_list *codecs;
    bool rejected; /**< it is not taken at all */
};

/** What the answer says of us. Everything is copied or used during the call only. */
struct rtc_negotiation_local {
    /**
     * Fresh ICE credentials (RFC 8839, 5.4). Taken with the first offer and with each ICE restart;
     * for other offers those of before stay. The result tells which are in force.
     */
    struct bytes ice_ufrag;
    struct bytes ice_pwd;
    /** Values of a=candidate lines: "1 1 udp 2130706431 192.0.2.1 3478 typ host". */
    const struct bytes *candidates;
    size_t candidate_count;
    struct bytes fingerprint; /**< "sha-256 AB:CD:..." */
    struct bytes cname;
    struct rtc_playout_delay playout_delay; /**< as of this offer */
    /** A section in which the client sends and receives is both; else it is a publication. */
    bool two_way;
    /** By section, of the first sections; those behind have none. */
    const struct rtc_section_limit *limits;
    size_t limit_count;
    /** How many sections there may be, and the sentence for more; 0: RTC_SECTIONS_MAX. */
    size_t section_max;
    const char *too_many_sections;
};

/** A section of an offer that the server makes. */
struct rtc_offer_section {
    enum rtc_role role; /**< what the client may be in it */
    /** Of a new section: what it is made like, with its payload types as far as they are free, and
     *  what the ids of its header extensions are. Of one that was there before: NULL. */
    const struct rtc_section *like;
    const struct rtp_extension_map *extensions;
};

struct rtc_negotiation;

/** `random` gives session id and SSRCs. Never NULL. */
struct rtc_negotiation *rtc_negotiation_new(struct random *random);
/** Accepts NULL; returns NULL. */
struct rtc_negotiation *rtc_negotiation_free(struct rtc_negotiation *negotiation);

/**
 * Answers an offer. Returns 0 with the answer in `*ret_answer` (heap; the caller frees) and the
 * result renewed; -EINVAL when the offer is malformed or cannot be answered, with a sentence in
 * `*ret_problem` (constant, for a web developer) and everything as it was before.
 */
must_check int rtc_negotiation_answer(struct rtc_negotiation *negotiation,
                                      const struct rtc_negotiation_local *local,
                                      struct random *random, struct bytes offer, char **ret_answer,
                                      const char **ret_problem);

/**
 * Makes an offer: all sections of before, in their order, and new ones behind them. With the first
 * one `local` gives the credentials, as for an answer. The offer may be shown to several clients;
 * it waits until one of their answers is accepted, and is given up when another one is made or an
 * offer of the client is answered. Returns the text (heap; the caller frees). `section_count` is at
 * least that of before and at most RTC_SECTIONS_MAX.
 */
char *rtc_negotiation_offer(struct rtc_negotiation *negotiation,
                            const struct rtc_negotiation_local *local, struct random *random,
                            const struct rtc_offer_section *sections, size_t section_count);
/** Whether an offer of ours waits for its answer. */
bool rtc_negotiation_offering(const struct rtc_negotiation *negotiation);
/**
 * Accepts the answer to our offer. Returns 0 with the result renewed; -EINVAL when the answer is
 * malformed or does not fit the offer, with a sentence as above and everything as it was before;
 * -EPROTO when no offer waits. Payload types must be those of the offer: a client that wants others
 * for what it receives (RFC 3264, 6.1) gets nothing in that codec.
 */
must_check int rtc_negotiation_accept(struct rtc_negotiation *negotiation,
                                      const struct rtc_negotiation_local *local,
                                      struct random *random, struct bytes answer,
                                      const char **ret_problem);

/** What is agreed on now; NULL before the first answer. Valid until the next successful answer. */
const struct rtc_negotiated *rtc_negotiation_result(const struct rtc_negotiation *negotiation);

/** Another delay than the last answer's, with which the next one begins anew. */
void rtc_negotiation_set_playout_delay(struct rtc_negotiation *negotiation,
                                       const struct rtc_playout_delay *delay);

/** The section of data channels, or NULL when there are none. */
const struct rtc_section *rtc_negotiated_data(const struct rtc_negotiated *negotiated);
/** The section of a mid, or NULL. */
const struct rtc_section *rtc_negotiated_section(const struct rtc_negotiated *negotiated,
                                                 struct bytes mid);
/**
 * The codec of a payload type in a section, or NULL. `*ret_is_rtx` says that the payload type is
 * that codec's retransmission.
 */
const struct rtc_codec *rtc_section_codec(const struct rtc_section *section, uint8_t payload_type,
                                          bool *ret_is_rtx);
/** The codec whose packets come in RED under a payload type, or NULL. */
const struct rtc_codec *rtc_section_red(const struct rtc_section *section, uint8_t payload_type);
/**
 * The payload type under which `receiver` (a slot) takes a stream that `sender` (a publication,
 * maybe of another peer) sends as `sent`; NULL when it cannot.
 */
const struct rtc_codec *rtc_section_match(const struct rtc_section *receiver,
                                          const struct rtc_codec *sent);
