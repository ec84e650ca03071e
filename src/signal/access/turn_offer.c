#include "signal/access/turn_offer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "proto/http/http_target.h"
#include "server/http_server.h"

/** Letters, digits, "-._" and, in brackets, what IPv6 addresses have (RFC 7065 section 3). */
static bool host_is_valid(const char *host)
{
    size_t size = strlen(host);
    bool literal = size > 2 && host[0] == '[' && host[size - 1] == ']';
    const char *allowed = literal ? "0123456789abcdefABCDEF:."
                                  : "0123456789abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
    size_t first = literal ? 1 : 0, length = literal ? size - 2 : size;
    return size > 0 && size < TURN_HOST_SIZE && strspn(host + first, allowed) == length;
}

/** What stands before the colon must stay the expiry, and logs must stay readable. */
static bool user_is_valid(struct bytes user)
{
    if (user.size > TURN_TICKET_USER_MAX || !text_is_utf8(user))
        return false;
    for (size_t i = 0; i < user.size; i++) {
        if (user.data[i] < 0x20 || user.data[i] == 0x7f)
            return false;
    }
    return true;
}

static const char *write_url(struct turn_ticket *ticket, size_t line, const char *scheme,
                             const char *host, uint16_t port, const char *transport)
{
    struct text_builder out = text_builder_of(ticket->text[line], TURN_TICKET_URL_SIZE);
    text_append_format(&out, "%s:%s:%u%s", scheme, host, port, transport);
    return ticket->text[line];
}

static void write_urls(const struct turn_offer *offer, const char *host, struct turn_ticket *ticket)
{
    static const char udp[] = "?transport=udp", tcp[] = "?transport=tcp";
    const struct {
        const char *scheme;
        uint16_t port;
        const char *transport;
    } rows[TURN_TICKET_URLS_MAX] = {
        { "turn", offer->udp_port, udp },
        { "turn", offer->tcp_port, tcp },
        { "turns", offer->tls_port, tcp },
        // one port for both: one line
        { "turns", offer->https_port == offer->tls_port ? 0 : offer->https_port, tcp },
    };
    for (size_t i = 0; i < TURN_TICKET_URLS_MAX; i++) {
        if (rows[i].port != 0)
            ticket->urls[ticket->url_count++] =
                write_url(ticket, i, rows[i].scheme, host, rows[i].port, rows[i].transport);
    }
    if (offer->udp_port != 0)
        ticket->stun_url =
            write_url(ticket, TURN_TICKET_URLS_MAX, "stun", host, offer->udp_port, "");
}

int turn_ticket_issue(const struct turn_offer *offer, const char *reached, struct bytes user,
                      uint64_t now_unix_s, struct turn_ticket *ret_ticket)
{
    const char *host = offer->host && *offer->host ? offer->host : reached;
    if (!host_is_valid(host) || !user_is_valid(user))
        return -EINVAL;
    struct turn_ticket *ticket = ret_ticket;
    *ticket = (struct turn_ticket){ .expires_unix_s = now_unix_s + offer->lifetime_s,
                                    .lifetime_s = offer->lifetime_s };
    write_urls(offer, host, ticket);
    struct text_builder name = text_builder_of(ticket->username, sizeof(ticket->username));
    text_append_format(&name, "%" PRIu64, ticket->expires_unix_s);
    if (user.size > 0) {
        text_append(&name, ":");
        text_append_bytes(&name, user);
    }
    turn_rest_password(offer->secret, bytes_of_text(ticket->username), ticket->password);
    return 0;
}

void turn_address_host(const struct net_address *address, char out[TURN_HOST_SIZE])
{
    struct net_address plain = net_address_unmapped(address);
    plain.scope = 0; // of this machine, not of the client's
    char text[NET_ADDRESS_TEXT_MAX];
    net_address_format_ip(&plain, text);
    struct text_builder builder = text_builder_of(out, TURN_HOST_SIZE);
    text_append_format(&builder, plain.family == NET_IPV6 ? "[%s]" : "%s", text);
}

void turn_host_write(const char *text, char out[TURN_HOST_SIZE])
{
    struct net_address address;
    if (net_address_parse_ip(text, 0, &address) == 0)
        turn_address_host(&address, out);
    else if (text_copy(out, TURN_HOST_SIZE, bytes_of_text(text)) < 0 || !host_is_valid(out))
        out[0] = '\0';
}

void turn_reached_host(const struct http_exchange *exchange, char out[TURN_HOST_SIZE])
{
    struct bytes host;
    uint16_t port;
    if (http_host_parse(http_exchange_request(exchange)->host, &host, &port) == 0 &&
        text_copy(out, TURN_HOST_SIZE, host) == 0 && host_is_valid(out))
        return;
    turn_address_host(http_exchange_local(exchange), out);
}
