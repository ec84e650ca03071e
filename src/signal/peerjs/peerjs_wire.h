/**
 * Messages of the PeerJS server protocol, as its client (npm: peerjs) sends and reads them: JSON
 * objects {type, src, dst, payload}, one in a text. `payload` belongs to the two clients; of a
 * media connection's the server reads the session description and the candidates.
 */
#pragma once

#include "base/json_read.h"

#define PEERJS_NAME_SIZE       65 /**< of a peer id, with terminator */
#define PEERJS_CONNECTION_SIZE 65 /**< of a connection's id */

enum peerjs_type {
    PEERJS_TYPE_HEARTBEAT,
    PEERJS_TYPE_OFFER,
    PEERJS_TYPE_ANSWER,
    PEERJS_TYPE_CANDIDATE,
    PEERJS_TYPE_LEAVE,
};

/** A candidate's texts; NULL: absent. */
struct peerjs_candidate {
    const char *candidate;
    const char *sdp_mid;
    const char *username_fragment;
    int32_t sdp_m_line_index; /**< -1: absent */
};

/** A message that was read. What it points to lives until peerjs_message_done, sources in the text.
 */
struct peerjs_message {
    enum peerjs_type type;
    const char *to;                    /**< "": nobody (HEARTBEAT, LEAVE of the server itself) */
    bool is_media;                     /**< of a media connection; else its payload is opaque */
    const char *connection;            /**< the connection's id; "": none */
    const char *sdp;                   /**< media OFFER and ANSWER */
    struct peerjs_candidate candidate; /**< media CANDIDATE */
    const struct json_value *payload;  /**< NULL: none; its source is in the text that was read */
    struct json_document json;
};

/** Why a message was not taken. */
enum peerjs_problem {
    PEERJS_PROBLEM_MALFORMED, /**< no JSON object, or a field is missing or has a wrong value */
    PEERJS_PROBLEM_TYPE,      /**< a type that clients do not send */
};

/** Reads a client's message. Returns 0, or -EBADMSG with `ret_problem`. */
must_check int peerjs_read(struct bytes text, struct peerjs_message *ret_message,
                           enum peerjs_problem *ret_problem);
/** Frees what the message holds. */
void peerjs_message_done(struct peerjs_message *message);

/** Whether a peer may be called so: what roost allows in user names, and spaces, as PeerJS does. */
bool peerjs_name_is_valid(const char *name);

/** ---- writing; each returns a text that the caller frees ---- */

/** {type}, or with a `sentence` {type, payload: {msg}}. */
char *peerjs_write_notice(const char *type, const char *sentence);
/** {type, src, dst}. */
char *peerjs_write_bare(const char *type, const char *from, const char *to);
/** {type, src, dst, payload} with the client's payload as it was written. */
char *peerjs_write_passed(const struct peerjs_message *message, const char *from);
/** A media connection's OFFER. `metadata` is any JSON; NULL: none. */
char *peerjs_write_offer(const char *from, const char *to, const char *connection, const char *sdp,
                         const char *metadata);
char *peerjs_write_answer(const char *from, const char *to, const char *connection,
                          const char *sdp);
char *peerjs_write_candidate(const char *from, const char *to, const char *connection,
                             const struct peerjs_candidate *candidate);
/**
 * Closes one connection of a client and no other of the same peer. The protocol has no message for
 * it; the client closes a connection whose OFFER comes again, and begins a new one for the types
 * "media" and "data" only.
 */
char *peerjs_write_close(const char *from, const char *to, const char *connection);
/** {"name": ...}: metadata for a client whose caller speaks another language. */
char *peerjs_write_metadata(const char *name, bool verified);
/** An array of names. */
char *peerjs_write_names(const char *const *names, size_t count);
