/** The opening handshake of WebSocket (RFC 6455, 4) and of permessage-deflate (RFC 7692, 7.1). */
#pragma once

#include "base/random.h"
#include "proto/http/http_response.h"

/** Base64 of a SHA-1 with terminator. */
#define WS_ACCEPT_SIZE 29
/** Base64 of 16 random bytes with terminator. */
#define WS_KEY_SIZE         25
#define WS_SUBPROTOCOL_SIZE 64

/** What both sides agreed on about permessage-deflate. */
struct ws_deflate {
    bool enabled;
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_window_bits; /**< 9 to 15 */
    uint8_t client_window_bits;
};

/** What the server offers. */
struct ws_server_offer {
    /** Names in order of preference, ends with NULL; NULL: none are spoken. */
    const char *const *subprotocols;
    /** A client must name one of them, else 400. */
    bool subprotocol_required;
    bool deflate; /**< accept permessage-deflate, always without context takeover */
};

struct ws_handshake {
    unsigned status;      /**< 101, or the status of the refusal: 400, 405, 426 */
    const char *sentence; /**< of the refusal */
    char accept[WS_ACCEPT_SIZE];
    const char *subprotocol; /**< from the offer; NULL: none */
    struct ws_deflate deflate;
};

/** True when the request asks for an upgrade to WebSocket at all. */
bool ws_handshake_wanted(const struct http_request *request);
/** Checks a client's request. Status 101 or a refusal; 426 must carry Sec-WebSocket-Version: 13. */
struct ws_handshake ws_handshake_check(const struct http_request *request,
                                       const struct ws_server_offer *offer);
/** Writes the whole 101 response. */
void ws_handshake_write(const struct ws_handshake *handshake, struct text_builder *out);
/** Sec-WebSocket-Accept for a key (RFC 6455, 4.2.2). */
void ws_accept_write(struct bytes key, char out[WS_ACCEPT_SIZE]);

struct ws_client_offer {
    const char *host;        /**< for the Host field */
    const char *target;      /**< "/ws" */
    const char *origin;      /**< NULL: none */
    const char *subprotocol; /**< comma-separated; NULL: none */
    bool deflate;
};

/** Writes the client's request and keeps its key in `ret_key`. */
void ws_client_handshake_write(const struct ws_client_offer *offer, struct random *random,
                               struct text_builder *out, char ret_key[WS_KEY_SIZE]);
/**
 * Checks the server's answer. Returns 0; -ECONNREFUSED for a status other than 101; -EPROTO when a
 * field is wrong or something was agreed to that was not offered.
 */
must_check int ws_client_handshake_check(const struct http_response *response,
                                         const struct ws_client_offer *offer, const char *key,
                                         struct ws_deflate *ret_deflate,
                                         char ret_subprotocol[WS_SUBPROTOCOL_SIZE]);
