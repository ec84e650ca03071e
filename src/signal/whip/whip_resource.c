// The resource of a session: PATCH (trickle, ICE restart) and DELETE (RFC 9725, 4.3 and 4.4).
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "proto/sdp/sdp_fragment.h"
#include "signal/whip/whip_int.h"

struct whip_session *whip_session_of(struct http_exchange *exchange, struct whip_endpoint *endpoint)
{
    bool viewer = text_starts_with(http_exchange_request(exchange)->path, "/whep-session/");
    struct whip_session *session =
        whip_session_find(endpoint, http_exchange_parameter(exchange, "id"), viewer);
    if (!session)
        http_exchange_fail(exchange, 404, "There is no such session, or it has ended.");
    return session;
}

void whip_delete(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = whip_session_of(exchange, endpoint);
    if (!session)
        return;
    whip_session_end(session, ROOM_LEFT_LEFT);
    // OBS wants 200
    http_exchange_respond(exchange, 200, NULL, bytes_of(NULL, 0));
    whip_changed(endpoint);
}

static void refuse_patch(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                         unsigned status, const char *sentence)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_PATCH);
    http_exchange_fail(exchange, status, sentence);
}

/** True when the request is about the ICE session that there is (RFC 9725, 4.3.1). */
static bool check_etag(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                       const struct whip_session *session)
{
    struct bytes match = text_trim(http_exchange_field(exchange, "if-match"));
    if (!match.data) {
        refuse_patch(endpoint, exchange, 428, "If-Match is needed: the ETag of the session, or *.");
        return false;
    }
    if (!text_equal(match, "*") && !text_equal(match, session->etag)) {
        refuse_patch(endpoint, exchange, 412, "The ICE session has changed: see the newest ETag.");
        return false;
    }
    return true;
}

static void restart(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                    struct whip_session *session, const struct sdp_fragment *fragment)
{
    char *ours = NULL;
    const char *problem;
    if (!whip_take_rate(endpoint, exchange))
        return;
    if (whip_session_restart(session, fragment->ice_ufrag, fragment->ice_pwd, &ours, &problem) <
        0) {
        refuse_patch(endpoint, exchange, 422, problem);
        return;
    }
    http_exchange_add_field(exchange, "ETag", session->etag);
    http_exchange_respond(exchange, 200, WHIP_FRAGMENT_TYPE, bytes_of_text(ours));
    free(ours);
    whip_changed(endpoint);
}

void whip_patch(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = whip_session_of(exchange, endpoint);
    if (!session)
        return;
    if (!whip_has_type(exchange, WHIP_FRAGMENT_TYPE)) {
        refuse_patch(endpoint, exchange, 415,
                     "The body must be of type application/trickle-ice-sdpfrag.");
        return;
    }
    if (!check_etag(endpoint, exchange, session))
        return;
    struct sdp_fragment fragment;
    if (sdp_fragment_parse(http_exchange_body(exchange), false, &fragment) < 0) {
        refuse_patch(endpoint, exchange, 400, "The fragment is malformed.");
        return;
    }
    bool same = !fragment.ice_ufrag.data ||
                whip_session_has_credentials(session, fragment.ice_ufrag, fragment.ice_pwd);
    if (!same) {
        restart(endpoint, exchange, session, &fragment);
        return;
    }
    // ICE-lite: the client's checks themselves tell where it is (RFC 8445, 2.5)
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}
