/**
 * What signaling asks of the media server, as one operations table: the control thread's whole view
 * of media. server/media_host.h implements it over the workers; tests of signaling bring their own.
 *
 * A media session is one PeerConnection of a client. The client offers, the server answers
 * (docs/protocol.md, Negotiation): sections in which the client sends are publications,
 * receive-only sections are slots. Which publication fills which slot is set here and costs no SDP.
 *
 * An anchored call is two sessions, one for each side, whose sections may be both: what one side
 * sends fills the sections of the other (room/pairing.h). There the server offers, too.
 *
 * All calls come from the control thread and none blocks. Work for workers is queued; a session
 * may be used at once, before any packet of the client was seen.
 */
#pragma once

#include "base/bytes.h"
#include "base/handle.h"
#include "room/wish.h"

typedef handle media_session;

#define MEDIA_MID_MAX      16  /**< with terminator; longer mids are refused */
#define MEDIA_SECTIONS_MAX 512 /**< per offer */

enum media_kind {
    MEDIA_AUDIO,
    MEDIA_VIDEO,
    MEDIA_DATA,
};

/** Bits: in two-way sessions one section may be both a publication and a slot. */
enum media_role {
    MEDIA_INACTIVE = 0, /**< rejected, stopped or not in use */
    MEDIA_PUBLISH = 1,  /**< the client sends */
    MEDIA_SLOT = 2,     /**< the client receives */
    MEDIA_BOTH = 3,
};

/** One m= section as answered, in the order of the offer. */
struct media_section {
    char mid[MEDIA_MID_MAX];
    enum media_kind kind;
    enum media_role role;
};

/** How long a client holds pictures back before it shows them. */
struct media_playout_delay {
    bool set; /**< false: as it likes */
    uint16_t ms;
};

struct media_session_config {
    /** The client reached signaling over loopback: loopback candidates make sense for it. */
    bool loopback;
    struct media_playout_delay playout_delay;
    /**
     * Names the room, to whose members data messages go; 0: to nobody. Of all its audio only the
     * `loudest` voices of a moment are forwarded; 0: all are.
     */
    uint64_t group;
    uint32_t loudest;
    /** The member's id, by which data messages name it; NULL: none. Copied. */
    const char *member;
    bool data_denied; /**< data messages that it sends are not passed on */
    bool two_way;     /**< a section in which the client sends and receives is a slot, too */
};

/** A data message of the server's own. Everything is copied. */
struct media_data {
    uint64_t group;  /**< the room that it is for */
    size_t to_count; /**< members that it is for; 0: all */
    const char *const *to;
    struct bytes label; /**< of the channels that it comes over */
    struct bytes protocol;
    bool text;
    bool droppable; /**< need not reach those who do not keep up */
    struct bytes content;
};

/** The sides of an anchored call. */
enum media_call_side {
    MEDIA_CALL_CALLER,
    MEDIA_CALL_CALLEE,
    MEDIA_CALL_SIDES,
};

struct media_answer {
    char *sdp; /**< heap; the caller frees */
    size_t section_count;
    struct media_section *sections; /**< heap; the caller frees */
};

enum media_event_kind {
    MEDIA_EVENT_CONNECTED,    /**< ICE and DTLS are done; media may flow */
    MEDIA_EVENT_DISCONNECTED, /**< consent expired (RFC 7675); an ICE restart may mend it */
    MEDIA_EVENT_FAILED,       /**< DTLS failed or the session timed out; only closing is left */
    MEDIA_EVENT_TRACK_LIVE,   /**< first packet of a publication (session, mid) */
    MEDIA_EVENT_TRACK_SILENT, /**< no packet of a publication for 5 s */
    MEDIA_EVENT_SPEAKING,     /**< a publication became active speech, or stopped (`speaking`) */
    MEDIA_EVENT_LAYERS,       /**< layers of a publication came, went, or changed (`layers`) */
    MEDIA_EVENT_DEMAND,       /**< other sizes of a publication are watched now (`demand`) */
    MEDIA_EVENT_PAUSED,       /**< what fills a video slot is not sent, or is again (`pause`) */
};

/** Why a video that a client wants to see is not sent to it. */
enum media_pause {
    MEDIA_PAUSE_NONE,   /**< it is sent */
    MEDIA_PAUSE_PATH,   /**< the way to the client carries too little */
    MEDIA_PAUSE_SERVER, /**< the server has more to do than it can */
};

#define MEDIA_LAYERS_MAX 3

/** A simulcast layer of a video publication, or its only stream. */
struct media_layer {
    bool sent;      /**< its packets come, and have for a moment; else zeros */
    uint16_t width; /**< of the picture; 0: not known */
    uint16_t height;
    uint64_t bitrate_bps; /**< measured, not 0 */
};

struct media_event {
    enum media_event_kind kind;
    media_session session;
    char mid[MEDIA_MID_MAX];
    bool speaking;
    uint8_t level_dbov; /**< audio level, 0 loud to 127 silent (RFC 6464) */
    struct media_layer layers[MEDIA_LAYERS_MAX]; /**< smallest first */
    uint8_t demand; /**< so many of the smallest layers are of use to somebody; 0: none */
    enum media_pause pause;
    const char *reason; /**< FAILED: a constant sentence for the user */
    bool closed;        /**< FAILED: the client closed the connection itself */
};

struct media_control {
    /** Opens a session. Returns 0 or -ENOSPC when the server is full. */
    int (*session_open)(struct media_control *self, const struct media_session_config *config,
                        media_session *ret_session);
    /** Ends a session: its publications leave every slot they fill. Stale handles are ignored. */
    void (*session_close)(struct media_control *self, media_session session);
    /**
     * Answers an offer, the first or any later one (more sections, ICE restart).
     * Returns 0; -EINVAL when the SDP is malformed or cannot be answered, with a sentence for the
     * client in `ret_problem` (a constant); -ENOENT for a stale session.
     */
    int (*offer)(struct media_control *self, media_session session, struct bytes sdp,
                 struct media_answer *ret_answer, const char **ret_problem);
    /**
     * Fills the slot `slot_mid` of `subscriber` with the publication `publish_mid` of `publisher`,
     * or empties it (`publisher` 0). Asks the publisher for a key frame where needed.
     * Returns 0, -ENOENT when a session or section does not exist, -EINVAL when kinds differ.
     */
    int (*slot_set)(struct media_control *self, media_session subscriber, const char *slot_mid,
                    media_session publisher, const char *publish_mid);
    /**
     * How what fills a slot is shown; slot_set begins again with MEDIA_WISH_DEFAULT.
     * Returns 0, or -ENOENT when the session or section does not exist.
     */
    int (*slot_wish)(struct media_control *self, media_session subscriber, const char *slot_mid,
                     const struct media_wish *wish);
    /**
     * Stops or resumes forwarding of a publication at the server (moderation: a muted member's
     * packets are dropped whatever the client does).
     */
    int (*publication_block)(struct media_control *self, media_session publisher,
                             const char *publish_mid, bool blocked);
    /** Whether data messages of a session are passed on; session_open began with `data_denied`. */
    void (*data_permit)(struct media_control *self, media_session session, bool may_send);
    /** How long pictures are held back from now on; session_open began with another delay. */
    void (*playout_delay)(struct media_control *self, media_session session,
                          struct media_playout_delay delay);
    /** Another number of voices of a room, also of sessions that are open. */
    void (*group_loudest)(struct media_control *self, uint64_t group, uint32_t loudest);
    /**
     * Sends a data message to members of a room; who has no such channel is not reached. Returns 0,
     * or -ENOMEM.
     */
    int (*data_send)(struct media_control *self, const struct media_data *data);
    /**
     * Opens the two sessions of a call by its caller's offer, and makes the offer for the callee
     * (heap; the caller frees), which may be shown to several: the first answer holds. `loopback`
     * is as in media_session_config. Returns 0; -EINVAL with a sentence as `offer`; -ENOSPC.
     */
    int (*call_open)(struct media_control *self, bool loopback, struct bytes callers_offer,
                     media_session ret_sides[MEDIA_CALL_SIDES], char **ret_offer,
                     const char **ret_problem);
    /**
     * A side of a call takes no offers but the first: what the other one adds later, and the side
     * would have to be offered, is refused in the answers to it.
     */
    void (*call_fix)(struct media_control *self, media_session side);
    /**
     * Accepts the answer of a side to what it was offered. Returns 0; -EINVAL with a sentence, also
     * when the sides have nothing in common; -EPROTO when no offer waits; -ENOENT.
     */
    int (*call_accept)(struct media_control *self, media_session side, struct bytes answer,
                       const char **ret_problem);
    /**
     * Answers an offer of a side (the caller's first one: after the callee's answer), as far as the
     * other side can. Returns 0 with the text (heap; the caller frees), -EINVAL or -ENOENT.
     */
    int (*call_answer)(struct media_control *self, media_session side, struct bytes offer,
                       char **ret_answer, const char **ret_problem);
    /**
     * What a side must be offered because of the other one (heap; the caller frees); NULL: nothing,
     * or an offer waits for its answer already.
     */
    char *(*call_offer)(struct media_control *self, media_session side);
    /** Whether a side takes nothing of what the other sends: it holds the call. */
    bool (*call_holds)(struct media_control *self, media_session side);
    /** The next event; false when there is none. Polled after the owner was woken. */
    bool (*event)(struct media_control *self, struct media_event *ret_event);
};
