// Sessions of WHIP and WHEP: members of rooms that speak HTTP.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "proto/sdp/sdp_fragment.h"
#include "signal/access/ban_key.h"
#include "signal/whip/whip_int.h"

static enum whip_metric gauge_of(const struct whip_session *session)
{
    return session->viewer ? WHIP_METRIC_VIEWERS : WHIP_METRIC_PUBLISHERS;
}

/** The endpoint's own look comes at once: rooms may not be called from within what they tell. */
static void look_soon(struct whip_endpoint *endpoint)
{
    loop_timer_set(&endpoint->timer, loop_now_us(endpoint->config.loop));
}

static void end_soon(struct whip_session *session)
{
    session->over = true;
    list_remove(&session->look_node);
    list_append(&session->endpoint->over, &session->look_node);
    look_soon(session->endpoint);
}

static void lost_path(struct whip_session *session)
{
    struct whip_endpoint *endpoint = session->endpoint;
    session->pathless_us = loop_now_us(endpoint->config.loop);
    list_append(&endpoint->pathless, &session->look_node);
    if (!loop_timer_armed(&endpoint->timer))
        look_soon(endpoint);
}

static void media_state_changed(struct whip_session *session)
{
    enum room_media_state state = session->member->media_state;
    if (session->over)
        return;
    if (state == ROOM_MEDIA_FAILED)
        end_soon(session);
    else if (state == ROOM_MEDIA_CONNECTED)
        list_remove(&session->look_node);
    else if (list_empty(&session->look_node))
        lost_path(session);
}

static void notify(struct room_observer *self, const struct room_event *event)
{
    struct whip_session *session = container_of(self, struct whip_session, observer);
    switch (event->kind) {
    case ROOM_EVENT_REMOVED:
        session->member = NULL;
        end_soon(session);
        break;
    case ROOM_EVENT_MEDIA_STATE:
        if (session->member)
            media_state_changed(session);
        break;
    default:
        break;
    }
}

static void refuse(struct whip_result *result, unsigned status, const char *problem)
{
    result->status = status;
    result->problem = problem;
}

/** The ICE session's name, as an entity tag (RFC 9110, 8.8.3). */
static void take_etag(struct whip_session *session, const char *answer)
{
    struct sdp_fragment fragment = { 0 };
    // our own answer
    ensure(sdp_fragment_parse(bytes_of_text(answer), true, &fragment) == 0);
    snprintf(session->etag, sizeof(session->etag), "\"%.*s\"", (int)fragment.ice_ufrag.size,
             (const char *)fragment.ice_ufrag.data);
}

/** Returns 0 with the answer, or a negative errno with a sentence. */
static int offer(struct whip_session *session, struct bytes sdp, char **ret_answer,
                 const char **ret_problem)
{
    const struct room_offer request = { .sdp = sdp, .plain = !session->viewer };
    struct media_answer answer;
    *ret_problem = "The offer cannot be answered.";
    int result = room_member_offer(session->member, &request, &answer, ret_problem);
    if (result < 0)
        return result;
    free(answer.sections);
    free(session->offer);
    session->offer = memory_allocate(1, sdp.size + 1);
    ensure(text_copy(session->offer, sdp.size + 1, sdp) == 0);
    take_etag(session, answer.sdp);
    *ret_answer = answer.sdp;
    return 0;
}

static bool is_of_use(const struct whip_session *session)
{
    return session->viewer ? session->member->slots.count > 0
                           : session->member->publication_count > 0;
}

static struct whip_session *session_new(struct whip_endpoint *endpoint,
                                        const struct whip_request *request)
{
    struct whip_session *session = memory_new(struct whip_session);
    session->endpoint = endpoint;
    session->observer.notify = notify;
    session->viewer = request->viewer;
    random_identifier(endpoint->config.random, session->id, WHIP_ID_LENGTH);
    map_set(&endpoint->by_id, bytes_of(session->id, WHIP_ID_LENGTH), session);
    list_append(&endpoint->sessions, &session->node);
    list_init(&session->look_node);
    lost_path(session);
    metric_add(&endpoint->metrics[gauge_of(session)], 1);
    return session;
}

/** What others read: a token's word first. */
static const char *name_of(const struct whip_request *request)
{
    const struct token_grants *grants = &request->grants;
    return grants->name[0]    ? grants->name
           : request->name[0] ? request->name
           : grants->user[0]  ? grants->user
                              : "Live";
}

static int join(struct whip_session *session, const struct whip_request *request, struct room *room)
{
    const struct token_grants *grants = &request->grants;
    char ban_key[ROOM_BAN_KEY_SIZE];
    ban_key_write(grants, &request->remote, request->viewer ? NULL : name_of(request), ban_key);
    return room_join(room,
                     &(struct room_join){ .name = name_of(request),
                                          .user = grants->user[0] ? grants->user : NULL,
                                          .ban_key = ban_key,
                                          .moderator = grants->moderator,
                                          .auto_subscribe = request->viewer,
                                          .follows = request->viewer ? request->name : NULL,
                                          .loopback = net_address_is_loopback(&request->remote),
                                          .hidden = request->viewer || grants->hidden,
                                          .own_events_only = true,
                                          .denials = grants->denials,
                                          .pass = token_pass(grants, request->has_grants),
                                          .playout_delay = request->playout_delay,
                                          .observer = &session->observer },
                     &session->member);
}

/** Another publisher by WHIP of that name in the room; NULL: the name is free. */
static struct whip_session *find_publisher(const struct room *room, const char *name)
{
    struct room_member *member;
    list_each(member, &room->members, node)
    {
        if (member->observer->notify == notify && strcmp(member->name, name) == 0)
            return container_of(member->observer, struct whip_session, observer);
    }
    return NULL;
}

/** Whether a newcomer of its name may end that session. */
static bool may_replace(const struct whip_session *other, const struct whip_request *request)
{
    switch (other->endpoint->config.same_name) {
    case WHIP_SAME_NAME_REPLACE:
        return true;
    case WHIP_SAME_NAME_REFUSE:
        return false;
    default:
        return strcmp(request->grants.user, other->member->user) == 0 &&
               (request->grants.user[0] || other->member->media_state != ROOM_MEDIA_CONNECTED);
    }
}

static void refuse_join(struct whip_endpoint *endpoint, int result, struct whip_result *ret_result)
{
    bool full = result == -ENOSPC || result == -ENFILE;
    whip_count(endpoint, full ? WHIP_METRIC_REFUSED_FULL : WHIP_METRIC_REFUSED_ROOM);
    switch (result) {
    case -ENOSPC:
        refuse(ret_result, 503, "The room is full.");
        break;
    case -ENFILE:
        refuse(ret_result, 503, "The server has no place for another room.");
        break;
    case -EACCES:
        refuse(ret_result, 403, "The room is locked.");
        break;
    case -EPERM:
        refuse(ret_result, 403, "A moderator has removed you from this room.");
        break;
    default:
        refuse(ret_result, 404, "There is no such room.");
        break;
    }
}

static void refuse_offer(struct whip_endpoint *endpoint, int error, const char *problem,
                         struct whip_result *ret_result)
{
    whip_count(endpoint, error == -ENOSPC ? WHIP_METRIC_REFUSED_FULL : WHIP_METRIC_REFUSED_OFFER);
    snprintf(ret_result->text, sizeof(ret_result->text), "%s", problem);
    refuse(ret_result,
           error == -ENOSPC   ? 503
           : error == -EACCES ? 403
                              : 400,
           error == -ENOSPC ? "The media server is full." : ret_result->text);
}

/** The room to enter; NULL when the request was refused. */
static struct room *find_room(struct whip_endpoint *endpoint, const struct whip_request *request,
                              uint64_t now_us, struct whip_result *ret_result)
{
    struct room_directory *rooms = &endpoint->config.hub->rooms;
    struct room *room = room_directory_find(rooms, request->room);
    if (request->viewer && !request->wait) {
        if (room && room_is_live(room, request->name))
            return room;
        // draft-ietf-wish-whep: nothing is live, come back later
        whip_count(endpoint, WHIP_METRIC_REFUSED_NOT_LIVE);
        refuse(ret_result, 409, "Nothing is live here yet.");
        return NULL;
    }
    int result = room_directory_open(rooms, now_us, request->room,
                                     request->has_grants && request->grants.moderator, &room);
    if (result == 0)
        return room;
    refuse_join(endpoint, result, ret_result);
    return NULL;
}

void whip_session_open(struct whip_endpoint *endpoint, const struct whip_request *request,
                       struct whip_result *ret_result)
{
    uint64_t now_us = loop_now_us(endpoint->config.loop);
    *ret_result = (struct whip_result){ .status = 201 };
    if (endpoint->by_id.count >= endpoint->config.session_count_max) {
        whip_count(endpoint, WHIP_METRIC_REFUSED_FULL);
        refuse(ret_result, 503, "The server has all the WHIP and WHEP sessions it may have.");
        return;
    }
    struct room *room = find_room(endpoint, request, now_us, ret_result);
    if (!room)
        return;
    struct whip_session *former = request->viewer ? NULL : find_publisher(room, name_of(request));
    if (former && !may_replace(former, request)) {
        whip_count(endpoint, WHIP_METRIC_REFUSED_NAME);
        refuse(ret_result, 409, "Another publisher has this name here. Use /whip/ROOM/NAME.");
        return;
    }
    struct whip_session *session = session_new(endpoint, request);
    int result = join(session, request, room);
    if (result < 0) {
        refuse_join(endpoint, result, ret_result);
        whip_session_end(session, ROOM_LEFT_LEFT);
        return;
    }
    const char *problem;
    result = offer(session, request->offer, &ret_result->answer, &problem);
    if (result == 0 && !is_of_use(session)) {
        free(ret_result->answer);
        ret_result->answer = NULL;
        result = -EINVAL;
        problem = request->viewer ? "The offer receives nothing: it needs a section with recvonly."
                                  : "The offer sends nothing: it needs a section with sendonly.";
    }
    if (result < 0) {
        refuse_offer(endpoint, result, problem, ret_result);
        whip_session_end(session, ROOM_LEFT_LEFT);
        return;
    }
    whip_count(endpoint, WHIP_METRIC_CREATED);
    ret_result->session = session;
    if (former) {
        whip_count(endpoint, WHIP_METRIC_REPLACED);
        whip_session_end(former, ROOM_LEFT_LEFT);
    }
}

struct whip_session *whip_session_find(struct whip_endpoint *endpoint, const char *id, bool viewer)
{
    struct whip_session *session = map_find(&endpoint->by_id, bytes_of_text(id));
    return session && session->viewer == viewer && !session->over ? session : NULL;
}

void whip_session_end(struct whip_session *session, enum room_left_reason reason)
{
    struct whip_endpoint *endpoint = session->endpoint;
    whip_events_end(session->events);
    if (session->member) {
        struct room_member *member = session->member;
        session->member = NULL;
        room_leave(member, loop_now_us(endpoint->config.loop), reason);
    }
    map_remove(&endpoint->by_id, bytes_of(session->id, WHIP_ID_LENGTH));
    list_remove(&session->node);
    list_remove(&session->look_node);
    metric_subtract(&endpoint->metrics[gauge_of(session)], 1);
    free(session->offer);
    memory_wipe(session, sizeof(*session));
    free(session);
}

bool whip_session_has_credentials(const struct whip_session *session, struct bytes ufrag,
                                  struct bytes pwd)
{
    struct sdp_fragment fragment = { 0 };
    return sdp_fragment_parse(bytes_of_text(session->offer), true, &fragment) == 0 &&
           bytes_equal(fragment.ice_ufrag, ufrag) && bytes_equal(fragment.ice_pwd, pwd);
}

int whip_session_restart(struct whip_session *session, struct bytes ufrag, struct bytes pwd,
                         char **ret_fragment, const char **ret_problem)
{
    const struct sdp_fragment fragment = { .ice_ufrag = ufrag, .ice_pwd = pwd };
    char *renewed = sdp_fragment_restart_offer(bytes_of_text(session->offer), &fragment);
    char *answer = NULL;
    int result = offer(session, bytes_of_text(renewed), &answer, ret_problem);
    free(renewed);
    if (result < 0)
        return -EINVAL;
    *ret_fragment = sdp_fragment_of_answer(bytes_of_text(answer));
    free(answer);
    whip_count(session->endpoint, WHIP_METRIC_RESTARTED);
    return 0;
}

void whip_sessions_look(struct whip_endpoint *endpoint, uint64_t now_us)
{
    struct whip_session *session;
    list_each(session, &endpoint->over, look_node) whip_session_end(session, ROOM_LEFT_LOST);
    list_each(session, &endpoint->pathless, look_node)
    {
        if (now_us <= session->pathless_us + endpoint->config.path_timeout_us)
            break;
        whip_count(endpoint, WHIP_METRIC_ENDED_PATH);
        whip_session_end(session, ROOM_LEFT_LOST);
    }
}
