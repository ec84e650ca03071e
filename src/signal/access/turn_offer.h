/**
 * What clients are told about our own TURN server: its URLs, and a time-limited credential made for
 * each of them (the common REST scheme, turn_rest_password).
 */
#pragma once

#include "base/bytes.h"
#include "proto/turn/turn_settings.h"

struct http_exchange;

/** A host in a URL, IPv6 in brackets, with its terminator. */
#define TURN_HOST_SIZE 256

/** Where the server is, for everyone. Ports of 0 are not told. */
struct turn_offer {
    const char *host;    /**< as in a URL; "": the one the client used to reach us */
    uint16_t udp_port;   /**< turn:?transport=udp, and stun: */
    uint16_t tcp_port;   /**< turn:?transport=tcp */
    uint16_t tls_port;   /**< turns:?transport=tcp */
    uint16_t https_port; /**< turns: on the web server's port, which firewalls let through */
    struct bytes secret; /**< the one that signs */
    uint32_t lifetime_s;
};

#define TURN_TICKET_URLS_MAX 4
#define TURN_TICKET_URL_SIZE (TURN_HOST_SIZE + 32)
/** Longest user part of a credential, bytes. */
#define TURN_TICKET_USER_MAX 255

/** A credential and where it is good. A value that points into itself: not to be copied. Secret. */
struct turn_ticket {
    char username[TURN_TICKET_USER_MAX + 24]; /**< "<unix expiry>:<user>" */
    char password[TURN_REST_PASSWORD_SIZE];
    const char *urls[TURN_TICKET_URLS_MAX]; /**< turn: and turns:, the cheapest way first */
    size_t url_count;
    const char *stun_url; /**< NULL: none */
    uint64_t expires_unix_s;
    uint32_t lifetime_s;
    char text[TURN_TICKET_URLS_MAX + 1][TURN_TICKET_URL_SIZE];
};

/**
 * Makes a credential for `user` ("": for nobody in particular), which quotas count by. `reached` is
 * the host that the client used, taken when the offer names none; at least one of them must not be
 * empty. Returns 0, or -EINVAL when the host or the user is too long or has characters that cannot
 * stand there.
 */
must_check int turn_ticket_issue(const struct turn_offer *offer, const char *reached,
                                 struct bytes user, uint64_t now_unix_s,
                                 struct turn_ticket *ret_ticket);

/** The host that a request was sent to, for `reached`: its Host field, else our address. */
void turn_reached_host(const struct http_exchange *exchange, char out[TURN_HOST_SIZE]);
/** An address as the host of a URL: IPv6 in brackets. */
void turn_address_host(const struct net_address *address, char out[TURN_HOST_SIZE]);
/** A name or an address, as people write them, as the host of a URL; "" when it can be none. */
void turn_host_write(const char *text, char out[TURN_HOST_SIZE]);
