// A client's media connections and the calls that they are.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/peerjs/peerjs_int.h"

/** Of a connection's metadata: longer ones are not kept for the other side. */
#define METADATA_SIZE_MAX (16u << 10)
/** Calls of one client that ring at the same peer. */
#define UNANSWERED_MAX 8
#define CLOSE_REVOKED  4001

static struct call_directory *calls_of(const struct peerjs_peer *peer)
{
    return peer->peerjs->config.calls;
}

static struct peerjs_peer *peer_of(struct call_device *device)
{
    return container_of(device, struct peerjs_peer, device);
}

/** ---- connections ---- */

static struct peerjs_connection *connection_new(struct peerjs_peer *peer, const char *with,
                                                const char *id)
{
    struct peerjs_connection *connection = memory_new(struct peerjs_connection);
    snprintf(connection->with, sizeof(connection->with), "%s", with);
    snprintf(connection->id, sizeof(connection->id), "%s", id);
    list_append(&peer->connections, &connection->node);
    return connection;
}

static void drop_metadata(struct peerjs_peer *peer, struct peerjs_connection *connection)
{
    if (!connection->metadata)
        return;
    peer->peerjs->held_size -= strlen(connection->metadata);
    free(connection->metadata);
    connection->metadata = NULL;
}

void peerjs_connection_free(struct peerjs_peer *peer, struct peerjs_connection *connection)
{
    drop_metadata(peer, connection);
    list_remove(&connection->node);
    free(connection);
}

/** What the client calls by that id, with that peer. */
static struct peerjs_connection *find_connection(const struct peerjs_peer *peer, const char *with,
                                                 const char *id)
{
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (strcmp(connection->with, with) == 0 && strcmp(connection->id, id) == 0)
            return connection;
    }
    return NULL;
}

static struct peerjs_connection *find_call(const struct peerjs_peer *peer, const char *call)
{
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (strcmp(connection->call, call) == 0)
            return connection;
    }
    return NULL;
}

/**
 * The client closes the connection. Not by LEAVE: that closes all that it has with the other side,
 * such as a call which its page has just begun.
 */
static void send_close(struct peerjs_peer *peer, const struct peerjs_connection *connection)
{
    peerjs_send(peer, peerjs_write_close(connection->with, peer->id, connection->id));
}

static void send_expire(struct peerjs_peer *peer, const char *from)
{
    peerjs_count(peer->peerjs, PEERJS_METRIC_EXPIRED);
    peerjs_send(peer, peerjs_write_bare("EXPIRE", from, peer->id));
}

/** ---- what the client says ---- */

/** Nobody is there to take the message. */
static void wait_or_expire(struct peerjs_peer *peer, uint64_t now_us,
                           const struct peerjs_message *message, struct bytes text, bool last_try)
{
    if (!last_try && peerjs_waiting_add(peer, now_us, message->to, text))
        return;
    if (last_try)
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_EXPIRED);
    if (message->type == PEERJS_TYPE_OFFER)
        send_expire(peer, message->to);
}

/** What only PeerJS clients understand: data connections. */
static void relay(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message,
                  struct bytes text, bool last_try)
{
    cleanup(memory_free_at) char *passed = peerjs_write_passed(message, peer->id);
    int result = call_relay(calls_of(peer), &peer->device, message->to, passed);
    if (result == 0)
        peerjs_count(peer->peerjs, PEERJS_METRIC_RELAYED);
    else if (result == -ENOENT)
        wait_or_expire(peer, now_us, message, text, last_try);
    else
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_STATE);
}

/**
 * A place for one more call: PeerJS clients do not say when a connection between two of them ends,
 * so the oldest such call (`with` that client; NULL: with anyone) is over as far as the model is
 * concerned; should its media still flow, it goes on. What the server carries ends by itself, and
 * would not go on. False when there is none.
 */
static bool forget_oldest(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_peer *with)
{
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (!connection->accepted || !connection->outlives_us ||
            (with && !find_call(with, connection->call)))
            continue;
        peer->peerjs->forgetting = true;
        (void)!call_hangup(calls_of(peer), &peer->device, now_us, connection->call);
        peer->peerjs->forgetting = false;
        peerjs_connection_free(peer, connection);
        return true;
    }
    return false;
}

/** The same for the callee's clients that have no place: of no call but the caller's own. */
static bool forget_of_callee(const struct peerjs_peer *peer, uint64_t now_us, const char *name)
{
    struct call_device *device = NULL;
    bool found = false;
    while ((device = call_user_next(calls_of(peer), name, device))) {
        if (device->ops == &peerjs_call_ops && call_device_is_busy(device))
            found = forget_oldest(peer_of(device), now_us, peer) || found;
    }
    return found;
}

/**
 * The oldest of too many calls of the client that ring at one peer ends: its page may have closed
 * it, of which clients do not tell, and a stranger must not take all of the other's places.
 */
static void end_unanswered(struct peerjs_peer *peer, uint64_t now_us, const char *with)
{
    struct peerjs_connection *connection, *oldest = NULL;
    size_t count = 0;
    list_each(connection, &peer->connections, node)
    {
        if (connection->incoming || connection->accepted || strcmp(connection->with, with) != 0)
            continue;
        if (count++ == 0)
            oldest = connection;
    }
    if (count < UNANSWERED_MAX)
        return;
    (void)!call_cancel(calls_of(peer), &peer->device, now_us, oldest->call);
    send_close(peer, oldest);
    peerjs_connection_free(peer, oldest);
}

static int start(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message,
                 char ret_id[CALL_ID_SIZE])
{
    const struct call_request request = {
        .to = message->to,
        .sdp = message->sdp,
        .media = strstr(message->sdp, "\nm=video ") ? CALL_MEDIA_VIDEO : CALL_MEDIA_AUDIO,
        .grants = peer->grants,
    };
    return call_start(calls_of(peer), &peer->device, now_us, &request, ret_id);
}

static char *metadata_of(struct peerjs_peer *peer, const struct peerjs_message *message)
{
    const struct json_value *metadata = json_member(message->payload, "metadata");
    if (!metadata)
        return NULL;
    struct bytes source = metadata->source;
    if (source.size <= METADATA_SIZE_MAX && peerjs_hold(peer->peerjs, source.size))
        return memory_copy(source.data, source.size);
    peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_METADATA);
    return NULL;
}

static void offer(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message,
                  struct bytes text, bool last_try)
{
    if (find_connection(peer, message->to, message->connection)) {
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_STATE);
        return;
    }
    end_unanswered(peer, now_us, message->to);
    struct peerjs_connection *connection = connection_new(peer, message->to, message->connection);
    connection->metadata = metadata_of(peer, message);
    char id[CALL_ID_SIZE];
    int result = start(peer, now_us, message, id);
    if ((result == -EALREADY && forget_oldest(peer, now_us, NULL)) ||
        (result == -EBUSY && forget_of_callee(peer, now_us, message->to)))
        result = start(peer, now_us, message, id);
    if (result == 0) {
        memcpy(connection->call, id, CALL_ID_SIZE);
        return;
    }
    if (result == -ENOENT) {
        wait_or_expire(peer, now_us, message, text, last_try);
    } else {
        send_close(peer, connection);
        // on glare the other side's call is on its way to the client
        if (result != -EDEADLK)
            send_expire(peer, message->to);
    }
    peerjs_connection_free(peer, connection);
}

static void answer(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message)
{
    struct peerjs_connection *connection = find_connection(peer, message->to, message->connection);
    if (!connection || !connection->incoming) {
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_NO_CALL);
        return;
    }
    if (call_accept(calls_of(peer), &peer->device, now_us, connection->call, message->sdp) < 0)
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_STATE);
    else
        connection->accepted = true;
}

static void candidate(struct peerjs_peer *peer, uint64_t now_us,
                      const struct peerjs_message *message, struct bytes text, bool last_try)
{
    const struct peerjs_connection *connection =
        find_connection(peer, message->to, message->connection);
    if (!connection && !last_try && peerjs_waiting_has(peer, message->to)) {
        // its offer waits, too
        wait_or_expire(peer, now_us, message, text, false);
        return;
    }
    const struct peerjs_candidate *given = &message->candidate;
    const struct call_candidate passed = { .candidate = given->candidate,
                                           .sdp_mid = given->sdp_mid,
                                           .username_fragment = given->username_fragment,
                                           .sdp_m_line_index = given->sdp_m_line_index };
    if (!connection || call_pass_candidate(&peer->device, connection->call, &passed) < 0)
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_NO_CALL);
}

/** The client is through with that peer; without one, with us. */
static void leave(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message)
{
    if (!message->to[0]) {
        peerjs_close(peer, 1000, "goodbye");
        return;
    }
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (strcmp(connection->with, message->to) != 0)
            continue;
        (void)!call_hangup(calls_of(peer), &peer->device, now_us, connection->call);
        peerjs_connection_free(peer, connection);
    }
    cleanup(memory_free_at) char *text = peerjs_write_bare("LEAVE", peer->id, message->to);
    if (call_relay(calls_of(peer), &peer->device, message->to, text) == 0)
        peerjs_count(peer->peerjs, PEERJS_METRIC_RELAYED);
}

void peerjs_handle(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message,
                   struct bytes text, bool last_try)
{
    if (message->type == PEERJS_TYPE_HEARTBEAT)
        return;
    if (message->type == PEERJS_TYPE_LEAVE)
        leave(peer, now_us, message);
    else if (!message->is_media)
        relay(peer, now_us, message, text, last_try);
    else if (message->type == PEERJS_TYPE_OFFER)
        offer(peer, now_us, message, text, last_try);
    else if (message->type == PEERJS_TYPE_ANSWER)
        answer(peer, now_us, message);
    else
        candidate(peer, now_us, message, text, last_try);
}

void peerjs_ring(struct peerjs_peer *peer)
{
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (connection->rings)
            (void)!call_ringing(&peer->device, connection->call);
        connection->rings = false;
    }
}

/** ---- what the client hears ---- */

/** The caller's own connection, when it is a PeerJS client. */
static const struct peerjs_connection *callers_connection(const struct call_event *event)
{
    if (event->peer->ops != &peerjs_call_ops)
        return NULL;
    // container_of, but for what may not be changed
    const struct peerjs_peer *caller =
        (const void *)((const char *)event->peer - offsetof(struct peerjs_peer, device));
    const struct peerjs_connection *connection = find_call(caller, event->call);
    // while it is being placed its id is not known yet
    return connection ? connection : find_call(caller, "");
}

/** Media of an anchored call ends with it. */
static bool outlives_us(const struct peerjs_peer *peer, const struct call_event *event)
{
    return event->peer->ops == &peerjs_call_ops && !call_is_anchored(&peer->device, event->call);
}

static void incoming(struct peerjs_peer *peer, const struct call_event *event)
{
    const char *user = call_device_user(event->peer);
    const struct peerjs_connection *theirs = callers_connection(event);
    const char *with = user ? user : event->call; // who is not registered is known by the call
    char own_id[PEERJS_CONNECTION_SIZE];
    snprintf(own_id, sizeof(own_id), "mc_%s", event->call);
    const char *id = theirs && !find_connection(peer, with, theirs->id) ? theirs->id : own_id;
    struct peerjs_connection *connection = connection_new(peer, with, id);
    snprintf(connection->call, sizeof(connection->call), "%s", event->call);
    connection->incoming = true;
    connection->outlives_us = outlives_us(peer, event);
    connection->rings = true;
    if (theirs) {
        peerjs_send(peer, peerjs_write_offer(with, peer->id, id, event->sdp, theirs->metadata));
    } else {
        cleanup(memory_free_at) char *metadata =
            peerjs_write_metadata(event->peer->name, user && event->peer->verified);
        peerjs_send(peer, peerjs_write_offer(with, peer->id, id, event->sdp, metadata));
    }
    if (list_empty(&peer->ringing_node)) {
        list_append(&peer->peerjs->ringing, &peer->ringing_node);
        peer->peerjs->config.transport->wake(peer->peerjs->config.transport);
    }
}

static void accepted(struct peerjs_peer *peer, struct peerjs_connection *connection,
                     const struct call_event *event)
{
    connection->accepted = true;
    connection->outlives_us = outlives_us(peer, event);
    drop_metadata(peer, connection);
    peerjs_send(peer, peerjs_write_answer(connection->with, peer->id, connection->id, event->sdp));
}

static void candidate_came(struct peerjs_peer *peer, const struct peerjs_connection *connection,
                           const struct call_candidate *given)
{
    if (!given || !given->candidate[0])
        return; // the client does not know of an end of candidates
    const struct peerjs_candidate passed = { .candidate = given->candidate,
                                             .sdp_mid = given->sdp_mid,
                                             .username_fragment = given->username_fragment,
                                             .sdp_m_line_index = given->sdp_m_line_index };
    peerjs_send(peer, peerjs_write_candidate(connection->with, peer->id, connection->id, &passed));
}

static void ended(struct peerjs_peer *peer, struct peerjs_connection *connection,
                  enum call_ended_reason reason)
{
    // a PeerJS client that left the server keeps its direct connections to others of its kind
    bool goes_on = connection->accepted && connection->outlives_us && reason == CALL_ENDED_LOST;
    if (!goes_on && !peer->peerjs->forgetting) {
        send_close(peer, connection);
        // closed before it was open, a connection tells its page nothing: this does
        if (!connection->incoming && !connection->accepted && reason != CALL_ENDED_GLARE)
            send_expire(peer, connection->with);
    }
    peerjs_connection_free(peer, connection);
}

static void call_notified(struct call_device *device, const struct call_event *event)
{
    struct peerjs_peer *peer = peer_of(device);
    if (event->kind == CALL_EVENT_INCOMING) {
        incoming(peer, event);
        return;
    }
    if (event->kind == CALL_EVENT_RELAY) {
        peerjs_send(peer, memory_copy(event->data, strlen(event->data) + 1));
        return;
    }
    if (event->kind == CALL_EVENT_UNREGISTERED) { // the peer itself ends with its socket
        peerjs_refuse(peer, PEERJS_METRIC_REFUSED_ID, "ID-TAKEN",
                      "ID belongs to somebody who can prove it");
        return;
    }
    struct peerjs_connection *connection = event->call ? find_call(peer, event->call) : NULL;
    if (!connection)
        return;
    if (event->kind == CALL_EVENT_ACCEPTED)
        accepted(peer, connection, event);
    else if (event->kind == CALL_EVENT_CANDIDATE)
        candidate_came(peer, connection, event->candidate);
    else if (event->kind == CALL_EVENT_ENDED)
        ended(peer, connection, event->reason);
    else if (event->kind == CALL_EVENT_OFFER)
        peerjs_count(peer->peerjs, PEERJS_METRIC_DROPPED_STATE); // it cannot take a new one
}

static void disconnect(struct call_device *device, uint64_t now_us)
{
    struct peerjs_peer *peer = peer_of(device);
    if (peer->state == PEERJS_AWAY) {
        peerjs_peer_end(peer, now_us, CALL_ENDED_HANGUP);
        return;
    }
    // the peer itself ends with its socket
    peerjs_close(peer, CLOSE_REVOKED, "disconnected by the user");
    call_device_done(calls_of(peer), device, now_us, CALL_ENDED_HANGUP);
}

const struct call_device_ops peerjs_call_ops = { .notify = call_notified,
                                                 .disconnect = disconnect };
