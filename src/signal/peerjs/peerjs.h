/**
 * The PeerJS server protocol as an engine: sockets' texts in, texts out through the transport it
 * was given. No sockets, no clock; server glue is peerjs_endpoint.h. docs/peerjs.md says what
 * clients may expect.
 *
 * A peer is a device in the model of users and calls, and its id is a user name. An OFFER of a
 * media connection is a call, which rings whatever the other user speaks; data connections are
 * passed between PeerJS peers as they are. What goes to nobody waits for a moment, as clients rely
 * on it: the other peer may be on its way.
 */
#pragma once

#include "base/address.h"
#include "base/metric.h"
#include "base/random.h"

struct admission;
struct admission_answer;
struct call_directory;
struct peerjs_peer;
struct signal_peerjs;
struct token_verifier;

/** How texts leave. It may not call back into the engine from within. */
struct peerjs_transport {
    /** Queues a text. Returns 0 or a negative errno: the engine then closes the socket. */
    int (*send)(struct peerjs_transport *self, void *socket, struct bytes text);
    /** Starts to close; signal_peerjs_closed must not follow from within. */
    void (*close)(struct peerjs_transport *self, void *socket, uint16_t code, const char *reason);
    /** The socket is that peer's now; NULL: nobody's, and it is closing. */
    void (*moved)(struct peerjs_transport *self, void *socket, struct peerjs_peer *peer);
    /** The deadline is nearer than it was, and the engine was not called by its owner. */
    void (*wake)(struct peerjs_transport *self);
};

/** Zero fields take the defaults in brackets. What it points to must live as long as the engine. */
struct peerjs_config {
    struct call_directory *calls;        /**< required */
    struct peerjs_transport *transport;  /**< required */
    struct random *random;               /**< required; the system's */
    const char *key;                     /**< that clients show ["peerjs"] */
    const struct token_verifier *tokens; /**< NULL: no token is looked at */
    struct admission *admission;         /**< the operator's endpoint decides; NULL: tokens do */
    bool require_token;                  /**< no guests */
    /** Whether keys are being fetched that a token with an unknown key may need; NULL: never. */
    bool (*keys_pending)(void *owner);
    void *owner;
    uint64_t expire_us;                  /**< how long messages to nobody wait [5 s] */
    uint64_t resume_window_us;           /**< how long calls outlive their peer's socket [30 s] */
    uint32_t peer_count_max;             /**< [5000] */
    uint32_t peer_per_address_count_max; /**< [1000] */
    uint32_t message_rate;               /**< per second and peer [50] */
    uint32_t message_burst;              /**< [400] */
    size_t held_size_max;                /**< bytes that wait, of all peers together [16 MiB] */
};

struct signal_peerjs *signal_peerjs_new(const struct peerjs_config *config);
/** Takes limits and tokens of a new config; `calls`, `transport` and `random` stay. */
void signal_peerjs_reload(struct signal_peerjs *peerjs, const struct peerjs_config *config);
/** Takes all peers out without a word. NULL is allowed. */
void signal_peerjs_free(struct signal_peerjs *peerjs);

/** What a client says of itself in its request, percent-decoded; "" where it says nothing. */
struct peerjs_entry {
    const char *key;
    const char *id;
    const char *token;
    struct net_address remote;
};

/**
 * A client connected: it is told OPEN, or why not. Returns its peer, which signal_peerjs_closed
 * ends; NULL when it was refused: the transport is closing already, and nothing follows.
 */
struct peerjs_peer *signal_peerjs_open(struct signal_peerjs *peerjs, uint64_t now_us,
                                       uint64_t now_unix_s, void *socket,
                                       const struct peerjs_entry *entry);
/** A text of the client's. */
void signal_peerjs_input(struct signal_peerjs *peerjs, uint64_t now_us, struct peerjs_peer *peer,
                         struct bytes text);
/** The socket is gone, whoever closed it; `code` is WebSocket's. */
void signal_peerjs_closed(struct signal_peerjs *peerjs, uint64_t now_us, struct peerjs_peer *peer,
                          uint16_t code);
/** The answer of `admission` for a peer, which may be gone by now. */
void signal_peerjs_admitted(struct signal_peerjs *peerjs, uint64_t now_us, const char *session,
                            const struct admission_answer *answer);
/** Keys were fetched, or could not be had: tokens that waited for them are looked at again. */
void signal_peerjs_keys_fetched(struct signal_peerjs *peerjs, uint64_t now_us, uint64_t now_unix_s);
void signal_peerjs_tick(struct signal_peerjs *peerjs, uint64_t now_us);
uint64_t signal_peerjs_deadline(const struct signal_peerjs *peerjs);
/** Closes all sockets with 1001. */
void signal_peerjs_drain(struct signal_peerjs *peerjs);

/** A peer id that nobody has, as GET /{key}/id gives it: a UUID, version 4. */
#define PEERJS_ID_SIZE 37
void signal_peerjs_make_id(struct signal_peerjs *peerjs, char ret_id[PEERJS_ID_SIZE]);
/**
 * The names that can be called, whatever their users speak: a JSON array; the caller frees it. NULL
 * where guests see nobody: who asks shows no proof, and is one.
 */
char *signal_peerjs_list(const struct signal_peerjs *peerjs);
/** Whether the key is ours. */
bool signal_peerjs_is_key(const struct signal_peerjs *peerjs, const char *key);
/** Counts a client whose address comes too often, and was sent away. */
void signal_peerjs_count_rate(struct signal_peerjs *peerjs);
struct metric_set signal_peerjs_metrics(const struct signal_peerjs *peerjs);
