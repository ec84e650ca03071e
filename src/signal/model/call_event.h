/** What a device hears of its calls, in words of no language. */
#pragma once

#include "base/compiler.h"

struct call_device;

enum call_media {
    CALL_MEDIA_AUDIO,
    CALL_MEDIA_VIDEO,
};

enum call_ended_reason {
    CALL_ENDED_HANGUP,
    CALL_ENDED_CANCELLED,
    CALL_ENDED_REJECTED,
    CALL_ENDED_BUSY,
    CALL_ENDED_TIMEOUT,
    CALL_ENDED_LOST,
    CALL_ENDED_ELSEWHERE,
    CALL_ENDED_GLARE,
    CALL_ENDED_TRANSFERRED, /**< another call took its place */
    CALL_ENDED_MEDIA,       /**< of an anchored call: its media could not be, or stayed away */
    CALL_ENDED_UNAVAILABLE, /**< nobody was there, so that no device was ever in the call */
    CALL_ENDED_REASON_COUNT,
};

struct call_candidate {
    const char *candidate;
    const char *sdp_mid; /**< NULL: null or absent, as all texts here */
    const char *username_fragment;
    int32_t sdp_m_line_index; /**< -1: null or absent */
};

enum call_event_kind {
    CALL_EVENT_INCOMING, /**< peer, to, sdp, media, glare, replaces, timeout_us */
    CALL_EVENT_RINGING,
    CALL_EVENT_ACCEPTED,        /**< peer, to, sdp */
    CALL_EVENT_CANDIDATE,       /**< candidate; NULL: the end */
    CALL_EVENT_OFFER,           /**< sdp */
    CALL_EVENT_ANSWER,          /**< sdp */
    CALL_EVENT_PEER,            /**< away */
    CALL_EVENT_HELD,            /**< held: the other side neither listens nor speaks for now */
    CALL_EVENT_TRANSFER,        /**< to: call them, with this call as `transfer` of the request */
    CALL_EVENT_TRANSFER_FAILED, /**< reason: the other side could not reach them, and is still here
                                 */
    CALL_EVENT_ENDED,           /**< reason */
    CALL_EVENT_LINK_READY,      /**< to: the link; of no call */
    CALL_EVENT_UNREGISTERED,    /**< to: the user name or link that is somebody else's now */
    CALL_EVENT_RELAY,           /**< peer, to, data; of no call */
};

/** Valid within the call of `notify`. */
struct call_event {
    enum call_event_kind kind;
    const char *call; /**< its id */
    const struct call_device *peer;
    const char *to;
    const char *sdp;
    const char *data; /**< as the sender's binding wrote it */
    const struct call_candidate *candidate;
    enum call_media media;
    enum call_ended_reason reason;
    bool glare;
    bool away;
    bool held;
    const char *replaces; /**< the device's call whose place the new one takes; NULL: none */
    uint64_t timeout_us;
};
