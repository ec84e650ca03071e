// Peers: coming in, being away, taking their place back, and going.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/peerjs/peerjs_int.h"

#define CLOSE_NORMAL     1000
#define CLOSE_POLICY     1008
#define CLOSE_TRY_LATER  1013
#define CLOSE_TAKEN_OVER 4000

void peerjs_close(struct peerjs_peer *peer, uint16_t code, const char *reason)
{
    if (!peerjs_is_connected(peer))
        return;
    struct peerjs_transport *transport = peer->peerjs->config.transport;
    transport->close(transport, peer->socket, code, reason);
    peer->closing = true;
}

void peerjs_send(struct peerjs_peer *peer, char *text)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    struct peerjs_transport *transport = peerjs->config.transport;
    if (!peerjs_is_connected(peer)) {
        peerjs_count(peerjs, PEERJS_METRIC_DROPPED_AWAY);
    } else if (transport->send(transport, peer->socket, bytes_of_text(text)) < 0) {
        peerjs_count(peerjs, PEERJS_METRIC_DROPPED_SLOW);
        peerjs_close(peer, CLOSE_TRY_LATER, "too slow");
    }
    free(text);
}

void peerjs_refuse(struct peerjs_peer *peer, enum peerjs_metric reason, const char *type,
                   const char *sentence)
{
    peerjs_count(peer->peerjs, reason);
    peerjs_send(peer, peerjs_write_notice(type, sentence));
    peerjs_close(peer, CLOSE_POLICY, sentence);
}

static struct bytes place_of(const struct peerjs_peer *peer)
{
    return bytes_of(peer->place, sizeof(peer->place));
}

static void forget_token(struct peerjs_peer *peer)
{
    if (peer->token)
        memory_wipe(peer->token, strlen(peer->token));
    free(peer->token);
    peer->token = NULL;
}

void peerjs_peer_end(struct peerjs_peer *peer, uint64_t now_us, enum call_ended_reason reason)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    peerjs_waiting_forget(peer);
    call_device_done(peerjs->config.calls, &peer->device, now_us, reason);
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node) peerjs_connection_free(peer, connection);
    if (peer->state != PEERJS_ASKING) {
        map_remove(&peerjs->places, place_of(peer));
        metric_subtract(&peerjs->metrics[peer->state == PEERJS_OPEN ? PEERJS_METRIC_PEERS
                                                                    : PEERJS_METRIC_PEERS_AWAY],
                        1);
    }
    list_remove(&peer->away_node);
    list_remove(&peer->ringing_node);
    map_remove(&peerjs->sessions, bytes_of_text(peer->session));
    address_limit_release(&peerjs->address_limit, &peer->remote);
    forget_token(peer);
    free(peer->grants);
    free(peer);
}

/** ---- coming in ---- */

/** Takes the peer's name in the model; false, and refused, when it cannot. */
static bool take_name(struct peerjs_peer *peer, struct peerjs_peer *newcomer, const char *name,
                      bool verified)
{
    peer->device.remote = peer->remote;
    int result =
        call_device_register(peer->peerjs->config.calls, &peer->device, peer->id, name, verified);
    if (result == -EEXIST)
        peerjs_refuse(newcomer, PEERJS_METRIC_REFUSED_ID, "ID-TAKEN", "ID is taken");
    else if (result == -EACCES)
        peerjs_refuse(newcomer, PEERJS_METRIC_REFUSED_TOKEN, "ERROR",
                      "This id is an account's: a token is needed");
    else if (result < 0)
        peerjs_refuse(newcomer, PEERJS_METRIC_REFUSED_FULL, "ERROR",
                      "Server has reached its concurrent user limit");
    return result == 0;
}

static void become_open(struct peerjs_peer *peer)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    if (peer->state == PEERJS_AWAY) {
        list_remove(&peer->away_node);
        metric_subtract(&peerjs->metrics[PEERJS_METRIC_PEERS_AWAY], 1);
    }
    if (peer->state != PEERJS_OPEN)
        metric_add(&peerjs->metrics[PEERJS_METRIC_PEERS], 1);
    peer->state = PEERJS_OPEN;
}

/** The client of `newcomer` is that of `peer`, which goes on with the new socket. */
static void take_place(struct peerjs_peer *peer, struct peerjs_peer *newcomer, const char *name,
                       bool verified)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    struct peerjs_transport *transport = peerjs->config.transport;
    if (!take_name(peer, newcomer, name, verified))
        return;
    if (peer->socket) {
        // also one that is closing already: its end must not be taken for the peer's
        transport->moved(transport, peer->socket, NULL);
        peerjs_close(peer, CLOSE_TAKEN_OVER, "connected anew");
    }
    peer->socket = newcomer->socket;
    peer->closing = false;
    newcomer->socket = NULL;
    transport->moved(transport, peer->socket, peer);
    become_open(peer);
    call_device_set_away(peerjs->config.calls, &peer->device, false);
    peerjs_count(peerjs, PEERJS_METRIC_RESUMED);
    peerjs_peer_end(newcomer, 0, CALL_ENDED_HANGUP);
    peerjs_send(peer, peerjs_write_notice("OPEN", NULL));
}

/** What its token allows in rooms counts for calls to them. */
static void keep_grants(struct peerjs_peer *peer, const struct token_grants *grants)
{
    free(peer->grants);
    peer->grants = grants && grants->room[0] ? memory_copy(grants, sizeof(*grants)) : NULL;
}

void peerjs_enter(struct peerjs_peer *peer, uint64_t now_us, const struct token_grants *grants)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    const char *name = grants && grants->name[0] ? grants->name : NULL;
    bool verified = grants != NULL;
    struct peerjs_peer *before = map_find(&peerjs->places, place_of(peer));
    forget_token(peer);
    if (before) {
        take_place(before, peer, name, verified);
        peer = before;
    } else if (take_name(peer, peer, name, verified)) {
        map_set(&peerjs->places, place_of(peer), peer);
        become_open(peer);
        peerjs_count(peerjs, PEERJS_METRIC_OPENED);
        peerjs_send(peer, peerjs_write_notice("OPEN", NULL));
    }
    if (peer->state == PEERJS_OPEN) {
        keep_grants(peer, grants);
        peerjs_waiting_deliver(peerjs, now_us, peer->id);
    }
}

/** Who shows this id and token is the same client. */
static void make_place(struct peerjs_peer *peer, const struct peerjs_entry *entry)
{
    struct hash hash;
    hash_begin(&hash, HASH_SHA256);
    hash_add(&hash, bytes_of(entry->id, strlen(entry->id) + 1));
    hash_add(&hash, bytes_of_text(entry->token));
    hash_end(&hash, peer->place);
}

static struct peerjs_peer *peer_new(struct signal_peerjs *peerjs, uint64_t now_us, void *socket,
                                    const struct peerjs_entry *entry)
{
    struct peerjs_peer *peer = memory_new(struct peerjs_peer);
    peer->peerjs = peerjs;
    peer->socket = socket;
    memcpy(peer->id, entry->id, strlen(entry->id) + 1);
    peer->token = memory_copy(entry->token, strlen(entry->token));
    make_place(peer, entry);
    peer->remote = entry->remote;
    peer->refilled_us = now_us;
    peer->millitokens = peerjs->config.message_burst * 1000ll;
    list_init(&peer->connections);
    list_init(&peer->waiting);
    list_init(&peer->away_node);
    list_init(&peer->ringing_node);
    call_device_init(&peer->device, &peerjs_call_ops, CALL_BINDING_PEERJS);
    peer->device.loopback = net_address_is_loopback(&peer->remote);
    random_identifier(peerjs->config.random, peer->session, PEERJS_SESSION_LENGTH);
    map_set(&peerjs->sessions, bytes_of_text(peer->session), peer);
    return peer;
}

/** Refuses a socket that is no peer's. */
static void refuse_socket(struct signal_peerjs *peerjs, void *socket, enum peerjs_metric reason,
                          const char *type, const char *sentence)
{
    struct peerjs_peer nobody = { .peerjs = peerjs, .socket = socket };
    peerjs_refuse(&nobody, reason, type, sentence);
}

struct peerjs_peer *signal_peerjs_open(struct signal_peerjs *peerjs, uint64_t now_us,
                                       uint64_t now_unix_s, void *socket,
                                       const struct peerjs_entry *entry)
{
    if (!signal_peerjs_is_key(peerjs, entry->key)) {
        refuse_socket(peerjs, socket, PEERJS_METRIC_REFUSED_KEY, "INVALID-KEY",
                      "Invalid key provided");
        return NULL;
    }
    if (!peerjs_name_is_valid(entry->id) || !entry->token[0]) {
        refuse_socket(peerjs, socket, PEERJS_METRIC_REFUSED_PARAMETERS, "ERROR",
                      "No valid id or no token supplied to websocket server");
        return NULL;
    }
    if (!address_limit_take(&peerjs->address_limit, &entry->remote)) {
        refuse_socket(peerjs, socket, PEERJS_METRIC_REFUSED_FULL, "ERROR",
                      "Server has reached its concurrent user limit");
        return NULL;
    }
    struct peerjs_peer *peer = peer_new(peerjs, now_us, socket, entry);
    char session[PEERJS_SESSION_LENGTH + 1];
    memcpy(session, peer->session, sizeof(session));
    uint8_t place[HASH_SHA256_SIZE];
    memcpy(place, peer->place, sizeof(place));
    peerjs_admit(peer, now_us, now_unix_s);
    peer = map_find(&peerjs->sessions, bytes_of_text(session));
    if (!peer) // it was another's socket, who took its place back
        return map_find(&peerjs->places, bytes_of(place, sizeof(place)));
    if (peerjs_is_connected(peer))
        return peer;
    peerjs_peer_end(peer, now_us, CALL_ENDED_LOST);
    return NULL;
}

/** ---- going ---- */

/** Its accepted calls go on for a while; the others end, and its name is free. */
static void become_away(struct peerjs_peer *peer, uint64_t now_us)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (connection->accepted)
            continue;
        // what rings here may go on ringing at other devices of the user
        if (connection->incoming)
            (void)!call_reject(peerjs->config.calls, &peer->device, now_us, connection->call, true);
        else
            (void)!call_hangup(peerjs->config.calls, &peer->device, now_us, connection->call);
        peerjs_connection_free(peer, connection);
    }
    peerjs_waiting_forget(peer);
    (void)!call_device_unregister(peerjs->config.calls, &peer->device);
    metric_subtract(&peerjs->metrics[PEERJS_METRIC_PEERS], 1);
    metric_add(&peerjs->metrics[PEERJS_METRIC_PEERS_AWAY], 1);
    peer->state = PEERJS_AWAY;
    peer->away_since_us = now_us;
    list_append(&peerjs->away, &peer->away_node);
    call_device_set_away(peerjs->config.calls, &peer->device, true);
}

static bool has_accepted(const struct peerjs_peer *peer)
{
    const struct peerjs_connection *connection;
    list_each(connection, &peer->connections, node)
    {
        if (connection->accepted)
            return true;
    }
    return false;
}

void signal_peerjs_closed(struct signal_peerjs *peerjs, uint64_t now_us, struct peerjs_peer *peer,
                          uint16_t code)
{
    (void)peerjs;
    peer->socket = NULL;
    peer->closing = false;
    // a browser says so when its page is closed; after any other end the media may flow on
    bool page_closed = code == 1001;
    if (peer->state == PEERJS_OPEN && !page_closed && has_accepted(peer))
        become_away(peer, now_us);
    else
        peerjs_peer_end(peer, now_us, page_closed ? CALL_ENDED_HANGUP : CALL_ENDED_LOST);
}
