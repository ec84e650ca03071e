/** Shared by whip*.c only. */
#pragma once

#include "base/map.h"
#include "runtime/address_limit.h"
#include "signal/whip/whip.h"

#define WHIP_ID_LENGTH 32 /**< 190 random bits */
#define WHIP_ETAG_SIZE 64
/** Names a request that waits; not a session: that name is its client's secret. */
#define WHIP_WAITING_ID_SIZE 25
#define WHIP_RATE_BURST      8 /**< times what may come in a second */
#define WHIP_SDP_TYPE        "application/sdp"
#define WHIP_FRAGMENT_TYPE   "application/trickle-ice-sdpfrag"

enum whip_metric {
#define METRIC(id, kind, name, labels, help) WHIP_METRIC_##id,
#include "signal/whip/whip_metrics.def"
#undef METRIC
    WHIP_METRIC_COUNT,
};

struct whip_events;

struct whip_session {
    struct room_observer observer; /**< first: rooms give it back */
    struct list node;              /**< in whip_endpoint.sessions */
    struct list look_node;         /**< in pathless or over, or in neither */
    struct whip_endpoint *endpoint;
    char id[WHIP_ID_LENGTH + 1];
    char etag[WHIP_ETAG_SIZE]; /**< quoted; the ICE session's own name */
    bool viewer;
    bool over;                  /**< ends with the next look */
    struct room_member *member; /**< NULL: removed from the room */
    char *offer;                /**< the client's last whole one */
    struct whip_events *events; /**< NULL: nobody listens */
    uint64_t pathless_us;       /**< since when it has no path; 0: it has one */
};

struct whip_endpoint {
    struct whip_config config;
    struct loop_timer timer; /**< looks after sessions */
    struct list sessions;
    struct list pathless; /**< those without a path, the longest first */
    struct list over;     /**< those that end with the next look */
    struct map by_id;
    struct map waiting;             /**< struct whip_waiting by its id */
    struct list events;             /**< streams of events */
    struct loop_timer events_timer; /**< armed while there are some */
    struct address_rate rate;
    bool draining;
    metric_value metrics[WHIP_METRIC_COUNT];
};

static inline void whip_count(struct whip_endpoint *endpoint, enum whip_metric metric)
{
    metric_add(&endpoint->metrics[metric], 1);
}

/** What an offer came to. */
struct whip_result {
    unsigned status;     /**< 201, or what to refuse with */
    const char *problem; /**< a sentence; constant, or in `text` */
    char text[256];
    struct whip_session *session;
    char *answer; /**< heap, the caller frees; NULL when refused */
};

/** Who asks for what. */
struct whip_request {
    bool viewer;
    const char *room;
    const char *name; /**< "": none */
    struct bytes offer;
    bool wait; /**< a viewer's: to be answered although nothing is live yet */
    struct media_playout_delay playout_delay; /**< a viewer's; not set: the room's */
    struct net_address remote;
    bool has_grants; /**< of a token, or of the operator's endpoint */
    struct token_grants grants;
};

/** What a request waited for is there. */
struct whip_decision {
    const struct admission_answer *answer; /**< NULL: it waited for keys */
};

// whip.c
/** Answers a POST; `decision` NULL: at its first look. */
void whip_create(struct http_exchange *exchange, struct whip_endpoint *endpoint, bool viewer,
                 const struct whip_decision *decision);
/** Rooms may have something to tell, and others share them. */
void whip_changed(struct whip_endpoint *endpoint);
/** Whether the request's body has that media type, whatever its parameters. */
bool whip_has_type(const struct http_exchange *exchange, const char *type);

// whip_entry.c
/** False: too many requests came from that address, and the request is answered. */
bool whip_take_rate(struct whip_endpoint *endpoint, struct http_exchange *exchange);
/** True with the grants, if any; else the request is answered, or waits for the decision. */
bool whip_admit(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                const struct whip_decision *decision, struct whip_request *request);
/** Forgets who waits. */
void whip_waiting_done(struct whip_endpoint *endpoint);

// whip_resource.c
/** The session of the path; NULL: the request is answered. */
struct whip_session *whip_session_of(struct http_exchange *exchange,
                                     struct whip_endpoint *endpoint);
void whip_patch(struct http_exchange *exchange, void *owner);
void whip_delete(struct http_exchange *exchange, void *owner);

// whip_layers.c
/** What a viewer asks for. */
struct whip_choice {
    int section; /**< of the offer; -1: the first one of video */
    int layer;   /**< below MEDIA_LAYERS_MAX; -1: any */
    int width;   /**< at most; 0: any */
    int height;
    bool paused; /**< of ours: no picture */
};

/** Reads the body of a choice. Returns 0 or -EINVAL. */
must_check int whip_choice_read(struct bytes body, struct whip_choice *ret_choice);
/** The layers of a viewer's video sections as JSON; the caller frees. The session has a member. */
char *whip_layers_text(const struct whip_session *session);
void whip_layers_get(struct http_exchange *exchange, void *owner);
void whip_layers_choose(struct http_exchange *exchange, void *owner);

// whip_events.c
void whip_events_get(struct http_exchange *exchange, void *owner);
void whip_events_post(struct http_exchange *exchange, void *owner);
void whip_events_delete(struct http_exchange *exchange, void *owner);
/** Looks what is to be told to whom. */
void whip_events_look(struct loop_timer *timer, uint64_t now_us);
/** The session ends, and its stream behind what it has not read. NULL is allowed. */
void whip_events_end(struct whip_events *events);
/** Ends all streams, with the advice to connect anew. */
void whip_events_stop(struct whip_endpoint *endpoint);
/** Link fields with the extensions that a viewer's session has. */
void whip_events_add_links(const struct whip_session *session, struct http_exchange *exchange);

// whip_session.c
/** Joins the room and answers the offer. */
void whip_session_open(struct whip_endpoint *endpoint, const struct whip_request *request,
                       struct whip_result *ret_result);
struct whip_session *whip_session_find(struct whip_endpoint *endpoint, const char *id, bool viewer);
/** Leaves the room and frees. */
void whip_session_end(struct whip_session *session, enum room_left_reason reason);
/**
 * Restarts ICE with the credentials of a fragment. Returns 0 with our own fragment (heap, the
 * caller frees) and a new ETag, or -EINVAL with a sentence.
 */
must_check int whip_session_restart(struct whip_session *session, struct bytes ufrag,
                                    struct bytes pwd, char **ret_fragment,
                                    const char **ret_problem);
/** Whether the fragment's credentials are those in use. */
bool whip_session_has_credentials(const struct whip_session *session, struct bytes ufrag,
                                  struct bytes pwd);
/** Ends sessions that are over, or without a path for too long. */
void whip_sessions_look(struct whip_endpoint *endpoint, uint64_t now_us);

// whip_answer.c
/** Link fields with ICE servers (RFC 9725, 4.6). */
void whip_add_links(struct whip_endpoint *endpoint, struct http_exchange *exchange);
