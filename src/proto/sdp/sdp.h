/**
 * Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829): a strict, bounded parser into one
 * object, and a writer. Texts are views: of a parsed description into a copy of its text that the
 * object owns, of a built one into whatever the builder gave (sdp_text copies into the object).
 *
 * Attributes that WebRTC gives meaning to are typed; the others are kept in order in `attributes`.
 * Session-level values that media sections inherit (ICE, fingerprint, setup, direction, extmap) are
 * already copied into each section.
 */
#pragma once

#include "base/text.h"

#define SDP_SIZE_MAX       (256 * 1024)
#define SDP_SECTIONS_MAX   512
#define SDP_LINE_MAX       4096
#define SDP_ATTRIBUTES_MAX 1024 /**< per section */
#define SDP_FORMATS_MAX    128  /**< per section: as many as there are payload types */

enum sdp_media {
    SDP_MEDIA_AUDIO,
    SDP_MEDIA_VIDEO,
    SDP_MEDIA_APPLICATION,
    SDP_MEDIA_OTHER,
};

enum sdp_direction {
    SDP_DIRECTION_NONE = 0, /**< not written: means sendrecv (RFC 8866, 6.7) */
    SDP_DIRECTION_SENDRECV,
    SDP_DIRECTION_SENDONLY,
    SDP_DIRECTION_RECVONLY,
    SDP_DIRECTION_INACTIVE,
};

/** RFC 4145, 4 and RFC 8842. */
enum sdp_setup {
    SDP_SETUP_NONE = 0,
    SDP_SETUP_ACTIVE,
    SDP_SETUP_PASSIVE,
    SDP_SETUP_ACTPASS,
    SDP_SETUP_HOLDCONN,
};

struct sdp_attribute {
    struct bytes name;
    struct bytes value; /**< behind the colon; empty for flags */
    uint32_t line;
};

struct sdp_fingerprint {
    struct bytes hash;  /**< "sha-256" */
    struct bytes value; /**< "AB:CD:..." */
};

struct sdp_rtpmap {
    uint8_t payload_type;
    struct bytes name;
    uint32_t clock_rate_hz;
    uint32_t channels; /**< 0: not written */
};

struct sdp_fmtp {
    uint8_t payload_type;
    struct bytes parameters;
};

struct sdp_rtcp_fb {
    int16_t payload_type; /**< -1: "*" */
    struct bytes value;   /**< "nack pli" */
};

struct sdp_extmap {
    uint32_t id;
    enum sdp_direction direction;
    struct bytes uri;
    struct bytes attributes;
};

struct sdp_ssrc {
    uint32_t ssrc;
    struct bytes name; /**< "cname", "msid", ... */
    struct bytes value;
};

struct sdp_ssrc_group {
    struct bytes semantics; /**< "FID", "SIM", ... */
    struct bytes ssrcs;     /**< the numbers as text; walk with sdp_ssrc_group_next */
};

struct sdp_msid {
    struct bytes stream; /**< "-" when the track is in no stream */
    struct bytes track;  /**< may be empty */
};

struct sdp_rid {
    struct bytes id;
    bool receive; /**< direction recv; else send */
    struct bytes restrictions;
};

/** A list of T with its length; arrays live as long as the description. */
#define SDP_LIST(type)                                                                             \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
    }

struct sdp_section {
    uint32_t line; /**< of the m= line */
    enum sdp_media media;
    struct bytes media_text;
    uint32_t port; /**< 0: rejected or, in an offer, bundle-only */
    struct bytes protocol;
    SDP_LIST(struct bytes) formats;
    struct bytes connection; /**< c= of the section or the session */

    struct bytes mid; /**< empty: none */
    enum sdp_direction direction;
    enum sdp_setup setup;
    struct bytes ice_ufrag;
    struct bytes ice_pwd;
    struct bytes ice_options;
    SDP_LIST(struct sdp_fingerprint) fingerprints;
    bool rtcp_mux;
    bool rtcp_rsize;
    bool bundle_only;
    bool extmap_allow_mixed;
    bool end_of_candidates;
    SDP_LIST(struct bytes) candidates; /**< values of a=candidate, without the name */
    SDP_LIST(struct sdp_rtpmap) rtpmaps;
    SDP_LIST(struct sdp_fmtp) fmtps;
    SDP_LIST(struct sdp_rtcp_fb) rtcp_fbs;
    SDP_LIST(struct sdp_extmap) extmaps;
    SDP_LIST(struct sdp_ssrc) ssrcs;
    SDP_LIST(struct sdp_ssrc_group) ssrc_groups;
    SDP_LIST(struct sdp_msid) msids;
    SDP_LIST(struct sdp_rid) rids;
    struct bytes simulcast_send; /**< "1;2;~3" (RFC 8853); empty: none */
    struct bytes simulcast_receive;
    uint32_t sctp_port; /**< 0: not given */
    bool sctp_closed;   /**< a=sctp-port:0, the association is ended (RFC 8841, 5.1) */
    /** 0: not given (64 KB then); UINT64_MAX: without limit, written as 0 (RFC 8841, 6.1). */
    uint64_t max_message_size;

    SDP_LIST(struct sdp_attribute) attributes; /**< those without a type of their own */
};

struct sdp {
    uint64_t session_id;
    uint64_t session_version;
    struct bytes origin_user;
    struct bytes origin_address; /**< "IN IP4 127.0.0.1" */
    struct bytes name;
    bool ice_lite;
    bool extmap_allow_mixed;
    struct bytes ice_options;
    struct bytes msid_semantic;
    SDP_LIST(struct bytes) bundles; /**< mids of each BUNDLE group: "0 1 2" */
    SDP_LIST(struct sdp_attribute) attributes;
    SDP_LIST(struct sdp_section) sections;

    struct sdp_arena *arena;
};

/** Why a text was refused. */
struct sdp_problem {
    uint32_t line;        /**< counted from 1; 0: the text as a whole */
    const char *sentence; /**< constant */
};

/**
 * Parses a description; lines end in CRLF or LF. Returns 0, or -EBADMSG / -E2BIG with `ret_problem`
 * (may be NULL) filled. The caller frees with sdp_free.
 */
must_check int sdp_parse(struct bytes text, struct sdp **ret_sdp, struct sdp_problem *ret_problem);

/** An empty description to be built. Never NULL. */
struct sdp *sdp_new(void);
/** Frees the object and all that was allocated in it. Accepts NULL. */
void sdp_free(struct sdp *sdp);
/** For `cleanup(sdp_free_at)`. */
void sdp_free_at(struct sdp **sdp);
/** Zeroed memory that lives as long as the description. Never NULL. */
void *sdp_allocate(struct sdp *sdp, size_t count, size_t size);
/**
 * The place of a new last item of an SDP_LIST, zeroed:
 *     *sdp_list_add(sdp, &section->candidates) = text;
 * Lists that grow this way must not be shared between sections.
 */
#define sdp_list_add(sdp, list)                                                                    \
    ({                                                                                             \
        typeof(list) list_ = (list);                                                               \
        list_->items = sdp_list_grow(sdp, list_->items, list_->count, sizeof(*list_->items));      \
        &list_->items[list_->count++];                                                             \
    })
/** For sdp_list_add only: makes room behind `count` items. */
void *sdp_list_grow(struct sdp *sdp, void *items, size_t count, size_t size);

/** A copy of formatted text that lives as long as the description. */
struct bytes sdp_text(struct sdp *sdp, const char *format, ...) format_check(2, 3);

/** Writes the description with CRLF lines. Heap text with terminator; the caller frees. */
char *sdp_write(const struct sdp *sdp);

/** The section of a mid, or NULL. */
struct sdp_section *sdp_section_find(const struct sdp *sdp, struct bytes mid);
/** The rtpmap of a payload type, or NULL. */
const struct sdp_rtpmap *sdp_rtpmap_find(const struct sdp_section *section, uint8_t payload_type);
/** The parameters of a payload type; empty when there are none. */
struct bytes sdp_fmtp_find(const struct sdp_section *section, uint8_t payload_type);
/** The value of the untyped attribute `name`, and whether there is one. */
bool sdp_attribute_find(const struct sdp_section *section, const char *name,
                        struct bytes *ret_value);
/** True when a space-separated list has the word. */
bool sdp_words_have(struct bytes words, struct bytes word);
/** Takes the next word of a space-separated list; false at the end. */
bool sdp_words_next(struct bytes *words, struct bytes *ret_word);
/** Takes the next number of an ssrc-group; false at the end or at what is no number. */
bool sdp_ssrc_group_next(struct bytes *ssrcs, uint32_t *ret_ssrc);
/** What the other side must say: sendonly for recvonly and so on (RFC 3264, 6.1). */
enum sdp_direction sdp_direction_reverse(enum sdp_direction direction);
