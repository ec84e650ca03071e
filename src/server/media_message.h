/** What the control thread and the media workers say to each other. */
#pragma once

#include "room/data_hub.h"
#include "room/exchange.h"
#include "rtc/params.h"
#include "rtc/peer_stats.h"
#include "server/media_capture.h"
#include "server/media_claim.h"

enum media_message {
    MEDIA_MESSAGE_SESSION,  /**< struct media_message_session: new, or after another offer */
    MEDIA_MESSAGE_CLOSE,    /**< struct media_message_close */
    MEDIA_MESSAGE_SLOT,     /**< struct media_message_slot */
    MEDIA_MESSAGE_BLOCK,    /**< struct media_message_block */
    MEDIA_MESSAGE_LOUDEST,  /**< struct media_message_loudest */
    MEDIA_MESSAGE_STATS,    /**< struct media_message_stats */
    MEDIA_MESSAGE_CAPTURE,  /**< struct media_message_capture */
    MEDIA_MESSAGE_EXCHANGE, /**< struct exchange_message, between workers */
    MEDIA_MESSAGE_DATA,     /**< struct data_message, between workers */
    MEDIA_MESSAGE_DELIVER,  /**< struct media_message_deliver */
    MEDIA_MESSAGE_PERMIT,   /**< struct media_message_permit */
    MEDIA_MESSAGE_STREAM,   /**< struct media_message_stream (media_stream.h), from any thread */
    // to the control thread
    MEDIA_MESSAGE_ADOPTED,       /**< struct media_message_adopted */
    MEDIA_MESSAGE_EVENT,         /**< struct media_event */
    MEDIA_MESSAGE_CAPTURED,      /**< struct media_captured */
    MEDIA_MESSAGE_STREAM_CLOSED, /**< struct media_message_stream_closed (media_stream.h) */
    MEDIA_MESSAGE_STATS_ANSWER,  /**< struct media_message_stats_answer */
};

struct media_message_session {
    handle session;
    struct media_claim *claim; /**< a reference for the receiver */
    struct rtc_params *params; /**< a reference for the receiver */
    struct data_member member;
};

/** A data message of the server's own. */
struct media_message_deliver {
    struct data_parcel *parcel; /**< a reference for the receiver */
};

/** Whether data messages of a session are passed on. */
struct media_message_permit {
    handle session;
    bool may_send;
};

struct media_message_close {
    handle session;
};

struct media_message_slot {
    handle session;
    uint32_t section;
    uint32_t publisher_worker;
    struct track_key publisher; /**< session 0: empty the slot */
    uint64_t group;             /**< of the publisher, see media_session_config */
    uint32_t loudest;
    struct media_wish wish;
    struct rtc_params *publisher_params; /**< a reference for the receiver; NULL when empty */
};

struct media_message_block {
    handle session;
    uint32_t section;
    bool blocked;
};

/** Another number of voices of a room. */
struct media_message_loudest {
    uint64_t group;
    uint32_t loudest;
};

struct media_message_stats {
    handle session;
    uint64_t number; /**< of the question */
};

struct media_message_capture {
    handle session;
    uint64_t number; /**< 0: end the one that there is */
    uint64_t bytes_max;
    uint64_t duration_us;
    bool decrypted;
};

/** What can be told of one session. */
struct media_session_stats {
    struct rtc_peer_stats rtc;
    struct data_stats data;
};

struct media_message_stats_answer {
    uint64_t number;
    struct media_session_stats *stats; /**< heap, the receiver's; NULL: no such session */
};

struct media_message_adopted {
    handle session;
    uint32_t worker;
};
