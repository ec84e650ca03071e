// What WHIP and WHEP clients are told about ICE servers, in Link fields.
#include <stdio.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signal/whip/whip_int.h"

#define LINK_SIZE (TURN_TICKET_URL_SIZE + TURN_TICKET_USER_MAX + TURN_REST_PASSWORD_SIZE + 128)

static void add_plain(struct http_exchange *exchange, const char *url)
{
    char link[LINK_SIZE];
    int size = snprintf(link, sizeof(link), "<%s>; rel=\"ice-server\"", url);
    if (size > 0 && (size_t)size < sizeof(link))
        http_exchange_add_field(exchange, "Link", link);
}

static void add_turn(struct http_exchange *exchange, const struct turn_ticket *ticket,
                     const char *url)
{
    char link[LINK_SIZE];
    int size = snprintf(link, sizeof(link),
                        "<%s>; rel=\"ice-server\"; username=\"%s\"; credential=\"%s\"; "
                        "credential-type=\"password\"",
                        url, ticket->username, ticket->password);
    if (size > 0 && (size_t)size < sizeof(link))
        http_exchange_add_field(exchange, "Link", link);
    memory_wipe(link, sizeof(link));
}

void whip_add_links(struct whip_endpoint *endpoint, struct http_exchange *exchange)
{
    const struct whip_config *config = &endpoint->config;
    for (size_t i = 0; i < config->ice_server_count; i++)
        add_plain(exchange, config->ice_servers[i]);
    if (!config->turn)
        return;
    char reached[TURN_HOST_SIZE], user[13];
    turn_reached_host(exchange, reached);
    random_identifier(config->random, user, sizeof(user) - 1);
    struct turn_ticket ticket;
    if (turn_ticket_issue(config->turn, reached, bytes_of_text(user),
                          clock_unix_us() / TIME_US_PER_S, &ticket) < 0)
        return;
    if (ticket.stun_url)
        add_plain(exchange, ticket.stun_url);
    for (size_t i = 0; i < ticket.url_count; i++)
        add_turn(exchange, &ticket, ticket.urls[i]);
    memory_wipe(&ticket, sizeof(ticket));
}
