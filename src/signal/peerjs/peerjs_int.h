/** What the peerjs_*.c files share: the engine, its peers and their connections. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "runtime/address_limit.h"
#include "signal/access/admission.h"
#include "signal/model/calls.h"
#include "signal/peerjs/peerjs.h"
#include "signal/peerjs/peerjs_wire.h"

#define PEERJS_SESSION_LENGTH 16

_Static_assert(PEERJS_NAME_SIZE == CALL_NAME_SIZE, "a peer id is a user name");

enum peerjs_metric {
#define METRIC(id, kind, name, labels, help) PEERJS_METRIC_##id,
#include "signal/peerjs/peerjs_metrics.def"
#undef METRIC
    PEERJS_METRIC_COUNT,
};

/**
 *   (new) ──admitted──▶ OPEN ──socket closed, calls go on──▶ AWAY ──back or over──▶ (gone)
 *     └──must be asked──▶ ASKING ──admitted──▶ OPEN
 */
enum peerjs_state {
    PEERJS_ASKING, /**< somebody else decides whether it may come in */
    PEERJS_OPEN,
    PEERJS_AWAY, /**< without a socket; its accepted calls go on */
};

struct signal_peerjs {
    struct peerjs_config config;
    struct map sessions;  /**< struct peerjs_peer by session: all of them */
    struct map places;    /**< peers that are open or away, by their place */
    struct list away;     /**< peers without a socket, the longest first */
    struct list ringing;  /**< peers whose incoming calls are to be told to ring */
    struct list waiting;  /**< struct peerjs_waiting, the oldest first */
    struct map receivers; /**< struct peerjs_receiver by name: whom messages wait for */
    size_t held_size;     /**< bytes of `waiting`, and of metadata */
    bool forgetting;      /**< a call ends for the model alone: its clients go on */
    struct address_limit address_limit;
    metric_value metrics[PEERJS_METRIC_COUNT];
};

struct peerjs_peer {
    struct signal_peerjs *peerjs;
    enum peerjs_state state;
    void *socket; /**< whose peer this is, until it is gone or another takes over; NULL: none */
    bool closing; /**< the socket is being closed: nothing goes to it, nothing it says counts */
    char id[PEERJS_NAME_SIZE];
    char session[PEERJS_SESSION_LENGTH + 1]; /**< for `admission`, and the key of `sessions` */
    uint8_t place[HASH_SHA256_SIZE]; /**< of its id and token: who shows both is the same client */
    char *token;                     /**< ASKING: as it was shown; else NULL */
    bool for_keys;                   /**< ASKING: the keys of its token are being fetched */
    struct token_grants *grants;     /**< what its token allows in rooms; NULL: it is of none */
    struct net_address remote;
    struct call_device device;
    struct list connections; /**< struct peerjs_connection; bounded by the device's calls */
    struct list away_node;
    struct list ringing_node;
    uint64_t away_since_us;
    uint64_t refilled_us; /**< token bucket of its messages */
    int64_t millitokens;
    uint32_t refused;    /**< messages above the rate, less what passed since */
    struct list waiting; /**< struct peerjs_waiting that it sent, the oldest first */
    size_t waiting_count;
    size_t waiting_size; /**< bytes that they hold */
};

/** A media connection of a client, and the call that it is. */
struct peerjs_connection {
    struct list node;            /**< in the peer's connections */
    char call[CALL_ID_SIZE];     /**< "": being placed at this moment */
    char with[PEERJS_NAME_SIZE]; /**< the other peer, as the client knows it */
    char id[PEERJS_CONNECTION_SIZE];
    char *metadata; /**< of the caller's, until it is accepted; NULL: none */
    bool incoming;
    bool accepted;
    bool rings;       /**< it is to be told that it rings */
    bool outlives_us; /**< it goes directly to a PeerJS client: without us it goes on */
};

/** ---- peerjs_peer.c: coming in and going ---- */

/** Sends a text, which it frees; nothing for NULL. */
void peerjs_send(struct peerjs_peer *peer, char *text);
/** Closes the peer's socket from our side; the peer lives on until it is gone. */
void peerjs_close(struct peerjs_peer *peer, uint16_t code, const char *reason);
/** The peer is let in, by `grants` (NULL: as a guest): it takes its name, and hears so. */
void peerjs_enter(struct peerjs_peer *peer, uint64_t now_us, const struct token_grants *grants);
/** Tells the client why it does not come in, and closes. */
void peerjs_refuse(struct peerjs_peer *peer, enum peerjs_metric reason, const char *type,
                   const char *sentence);
/** Frees the peer; its calls end with `reason`. */
void peerjs_peer_end(struct peerjs_peer *peer, uint64_t now_us, enum call_ended_reason reason);

/** ---- peerjs_admission.c ---- */

/** Decides whether the peer may come in: it enters, is refused, or asks. */
void peerjs_admit(struct peerjs_peer *peer, uint64_t now_us, uint64_t now_unix_s);

/** ---- peerjs_call.c: connections and calls ---- */

/**
 * Carries a message out. `text` is what it was read from; it waits when nobody is there to take it,
 * unless it is the `last_try`.
 */
void peerjs_handle(struct peerjs_peer *peer, uint64_t now_us, const struct peerjs_message *message,
                   struct bytes text, bool last_try);
/** Tells the callers of a peer that its client rings. */
void peerjs_ring(struct peerjs_peer *peer);
void peerjs_connection_free(struct peerjs_peer *peer, struct peerjs_connection *connection);
extern const struct call_device_ops peerjs_call_ops;

/** ---- peerjs_waiting.c: messages to nobody ---- */

/** Keeps a message of the peer's to `to`. False, and counted, when too much waits already. */
bool peerjs_waiting_add(struct peerjs_peer *peer, uint64_t now_us, const char *to,
                        struct bytes text);
/** Whether the peer has messages to that name waiting. */
bool peerjs_waiting_has(const struct peerjs_peer *peer, const char *to);
/** Somebody has the name now. */
void peerjs_waiting_deliver(struct signal_peerjs *peerjs, uint64_t now_us, const char *to);
/** Tries the oldest once more and lets them go. */
void peerjs_waiting_expire(struct signal_peerjs *peerjs, uint64_t now_us);
uint64_t peerjs_waiting_deadline(const struct signal_peerjs *peerjs);
/** The peer is gone, and what it said. */
void peerjs_waiting_forget(struct peerjs_peer *peer);
/** Takes `size` bytes of what may be held. */
bool peerjs_hold(struct signal_peerjs *peerjs, size_t size);

/** Whether the peer's client can be spoken to. */
static inline bool peerjs_is_connected(const struct peerjs_peer *peer)
{
    return peer->socket && !peer->closing;
}

static inline void peerjs_count(struct signal_peerjs *peerjs, enum peerjs_metric metric)
{
    metric_add(&peerjs->metrics[metric], 1);
}
