/** The inside of the media host, shared by media_host.c, media_session.c and media_call.c. */
#pragma once

#include "base/list.h"
#include "crypto/x509.h"
#include "proto/ice/ice_candidate.h"
#include "room/pairing.h"
#include "runtime/address_limit.h"
#include "runtime/mailbox.h"
#include "server/media_capture.h"
#include "server/media_host.h"
#include "server/media_worker.h"

#define MEDIA_UFRAG_LENGTH 12
#define MEDIA_PWD_LENGTH   24

/** The publication that a slot shall show; in the publisher's list of watchers while set. */
struct host_slot {
    struct list watcher;
    struct host_session *subscriber;
    struct host_session *publisher; /**< NULL: empty */
    uint32_t section;               /**< of the slot */
    uint32_t publisher_section;
    struct media_wish wish;
};

struct host_session {
    handle session;
    bool loopback;
    bool two_way;
    struct media_playout_delay playout_delay;
    bool playout_delay_told; /**< the client was told one at some time */
    uint32_t loudest;        /**< see media_session_config, as `group` */
    uint64_t group;
    struct data_member member;
    bool adopted;
    uint32_t worker; /**< valid when adopted */
    struct rtc_negotiation *negotiation;
    struct rtc_params *params; /**< NULL before the first offer */
    struct media_claim *claim;
    struct host_slot *slots; /**< by section */
    bool *blocked;           /**< by section: publications that are not forwarded */
    size_t section_count;
    struct list watchers; /**< slots that show one of our publications */
    // of a call
    struct pairing *pairing; /**< shared with `other`; NULL: this is no call, or the other ended */
    enum media_call_side side;
    struct host_session *other;
};

/** What the server says of itself in a description, and the texts of it. */
struct host_local {
    char ufrag[MEDIA_UFRAG_LENGTH + 1], pwd[MEDIA_PWD_LENGTH + 1];
    char fingerprint[8 + CERTIFICATE_FINGERPRINT_SIZE];
    char text[MEDIA_CANDIDATES_MAX * ICE_CANDIDATE_TEXT_MAX];
    struct bytes lines[MEDIA_CANDIDATES_MAX];
    struct rtc_negotiation_local local;
};

struct host_event {
    struct list node;
    struct media_event event;
};

/** A message that met a full mailbox: it goes out in its turn. */
struct host_unsent {
    struct list node;
    uint32_t worker;
    struct message message;
};

struct media_host {
    struct media_control control; /**< first: the operations get a pointer to it */
    struct media_host_config config;
    struct media_workers shared;
    struct cipher_provider *ciphers;
    struct mailbox mailbox;
    struct media_candidates candidates;
    struct address_limit streams; /**< ICE-TCP connections of the HTTPS port */
    uint32_t next_stream;         /**< they go to the workers in turn */
    struct handle_table sessions;
    struct list events;
    size_t event_count;
    struct list unsent;
    size_t unsent_count;
    uint32_t unsent_of[TRACK_WORKERS_MAX]; /**< those to one worker, so that order is kept */
    struct loop_timer resend;
    struct list questions; /**< of media_stats.c */
    uint32_t question_count;
    uint64_t question_last;
    uint64_t capture_last;
    void (*captured)(void *owner, struct media_captured *piece); /**< NULL: nobody asked */
    void *captured_owner;
};

static inline struct media_host *media_host_of(struct media_control *control)
{
    return container_of(control, struct media_host, control);
}

/** To one worker, in order: enum media_message or enum turn_message. What its mailbox has no room
 * for waits here. */
void media_host_send(struct media_host *host, uint32_t worker, uint32_t type, const void *body,
                     size_t size);
void media_host_event_add(struct media_host *host, const struct media_event *event);

// media_stats.c
struct media_message_stats_answer;
void media_stats_answered(struct media_host *host,
                          const struct media_message_stats_answer *message);
/** Nothing is answered any more: all who asked are told so. */
void media_stats_stop(struct media_host *host);

// media_data_send.c
/** media_control.data_send. */
int media_data_send(struct media_control *control, const struct media_data *data);

// media_call.c: media_control.call_*
int media_call_open(struct media_control *control, bool loopback, struct bytes callers_offer,
                    media_session ret_sides[MEDIA_CALL_SIDES], char **ret_offer,
                    const char **ret_problem);
int media_call_accept(struct media_control *control, media_session side, struct bytes answer,
                      const char **ret_problem);
int media_call_answer(struct media_control *control, media_session side, struct bytes offer,
                      char **ret_answer, const char **ret_problem);
char *media_call_offer(struct media_control *control, media_session side);
void media_call_fix(struct media_control *control, media_session side);
bool media_call_holds(struct media_control *control, media_session side);
/** A side ends: the other is no call's any more. */
void media_call_leave(struct host_session *session);

// media_session.c: the operations of media_control
extern const struct media_control media_session_control;
/** A worker has claimed the session: it now gets all that was wished before. */
void media_session_adopted(struct media_host *host, handle session, uint32_t worker);
must_check int media_session_open(struct media_control *control,
                                  const struct media_session_config *config,
                                  media_session *ret_session);
void media_session_close(struct media_control *control, media_session name);
/** Fresh credentials, and what else the server says to a session. To be wiped. */
void media_session_describe(struct media_host *host, struct host_session *session,
                            struct host_local *local);
/** The session's negotiation has a new result: workers hear of it, and its slots follow. */
void media_session_agreed(struct media_host *host, struct host_session *session);
/** Fills a slot, or empties it (`publisher` NULL). */
void media_session_show(struct media_host *host, struct host_slot *slot,
                        struct host_session *publisher, size_t publisher_section);
void media_session_free(struct media_host *host, struct host_session *session);
