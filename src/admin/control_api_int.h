/** What the files of the control API share. */
#pragma once

#include <jansson.h>

#include "admin/control_api.h"
#include "admin/control_json.h"
#include "base/list.h"
#include "runtime/jobs.h"

enum control_api_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/control_api.def"
#undef METRIC
    CONTROL_API_METRIC_COUNT,
};

struct control_api {
    struct control_api_config config;
    struct {
        struct list items; /**< of control_captures.c */
        size_t count;
        struct jobs *jobs; /**< NULL before the first capture */
        struct job_inbox inbox;
    } captures;
    struct {
        struct list requests; /**< of control_users.c */
        size_t count;
        struct jobs *jobs; /**< NULL before the first request */
        struct job_inbox inbox;
    } users;
    struct list logins;  /**< of control_login.c */
    struct list samples; /**< of control_stats.c: requests that wait */
    metric_value metrics[CONTROL_API_METRIC_COUNT];
};

/** Answers with the object, and releases it. */
void control_respond(struct http_exchange *exchange, unsigned status, json_t *json);
/** 204 */
void control_done(struct control_api *api, struct http_exchange *exchange);
/**
 * The room of the path, or NULL with 401, 403 or 404 answered. `ret_member` (may be NULL) is the
 * {participant} of the path, `ret_publication` the {track}.
 */
struct room *control_room(struct control_api *api, struct http_exchange *exchange);
struct room_member *control_member(struct control_api *api, struct http_exchange *exchange);
struct room_publication *control_track(struct control_api *api, struct http_exchange *exchange);
/** Whether the request has a good admin token; else it is answered. */
bool control_admit(struct control_api *api, struct http_exchange *exchange);
/** Who asks, for the log: the user or else the id of the admitted token, which may be "". */
void control_caller(struct control_api *api, struct http_exchange *exchange,
                    char out[ROOM_MEMBER_SIZE]);
/** The JSON object of the body ({} when it is empty), or NULL with 400 answered. */
json_t *control_body(struct http_exchange *exchange);

#define CONTROL_NULL UINT64_MAX

/** One field that a body may have. */
struct control_field {
    const char *name;
    enum {
        CONTROL_TEXT,
        CONTROL_NUMBER,
        CONTROL_NUMBER_OR_NULL, /**< null: CONTROL_NULL */
        CONTROL_FLAG,
        CONTROL_SOURCES,
        CONTROL_JSON,
    } kind;
    uint64_t max;  /**< of a number; bytes of a text */
    bool required; /**< else it may be absent */
    /** Where it goes: const char **, uint64_t *, bool *, uint8_t * (denied sources), json_t **
     *  (borrowed). Untouched when the field is absent. */
    void *value;
    bool *present; /**< may be NULL */
};
/** Takes the fields of a body. False, with 400 answered, for unknown and wrong ones. */
bool control_fields(struct http_exchange *exchange, json_t *body,
                    const struct control_field *fields, size_t count);
/** Whether a text is a room's name: 1 to 64 letters, digits, "-", "_", ".". */
bool control_is_name(const char *text);

typedef void control_handler(struct http_exchange *exchange, void *owner);
/** control_rooms.c */
control_handler control_rooms_list, control_rooms_create, control_room_get, control_room_update;
control_handler control_room_end, control_room_message;
/** control_members.c */
control_handler control_members_list, control_member_get, control_member_update;
control_handler control_member_kick, control_member_move, control_tracks_list, control_track_update;
/** control_data.c */
control_handler control_room_data;
/** control_stats.c */
control_handler control_member_stats;
/** Nothing is answered any more. */
void control_stats_stop(struct control_api *api);
/** control_captures.c */
control_handler control_capture_start, control_captures_list, control_capture_get;
control_handler control_capture_stop, control_capture_download, control_capture_delete;
/** Writes what there is, and forgets all captures; their files stay. */
void control_captures_stop(struct control_api *api);
/** control_tokens.c */
control_handler control_token_make, control_revocations_get, control_revoke, control_unrevoke;
/** control_calls.c */
control_handler control_user_calls;
/** control_users.c */
control_handler control_users_list, control_user_add, control_user_get, control_user_update;
control_handler control_user_remove;
/** Waits for the store; nothing is answered any more. */
void control_users_stop(struct control_api *api);
/** control_login.c */
control_handler control_login;
/** Nothing is answered any more. */
void control_login_stop(struct control_api *api);
