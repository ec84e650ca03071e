// ICE servers: those of the configuration, and our own TURN server with a credential of the
// session's.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

void signal_native_set_host(struct native_connection *connection, const char *host)
{
    free(connection->host);
    connection->host = memory_copy(host, strlen(host));
}

/** Relaying costs us more than anything else, so it is for those who were let in. */
static bool may_relay(const struct native_session *session)
{
    const struct native_config *config = &session->native->config;
    return config->turn && (session->admitted || !config->require_token);
}

/**
 * Firefox says in red that five URLs slow it down. Four of turn: tell a client its address too, so
 * stun: is what can be left out.
 */
static bool needs_stun(const struct turn_ticket *ticket)
{
    return ticket->stun_url && ticket->url_count < TURN_TICKET_URLS_MAX;
}

static void add_own(struct native_ice *ice)
{
    if (needs_stun(&ice->ticket))
        ice->servers[ice->count++] =
            (struct wire_ice_server){ .urls = &ice->ticket.stun_url, .urls_count = 1 };
    if (ice->ticket.url_count > 0)
        ice->servers[ice->count++] = (struct wire_ice_server){
            .urls = ice->ticket.urls,
            .urls_count = ice->ticket.url_count,
            .username = ice->ticket.username,
            .credential = ice->ticket.password,
        };
}

void native_ice_init(struct native_ice *ice, const struct native_session *session, uint64_t now_us)
{
    const struct native_config *config = &session->native->config;
    const struct native_connection *connection = session->connection;
    ice->count = 0;
    ice->servers = memory_new_array(struct wire_ice_server, config->ice_server_count + 2);
    const char *reached = connection && connection->host ? connection->host : "";
    // the session's id is nobody's name, and what it may relay it may once
    if (may_relay(session) &&
        turn_ticket_issue(config->turn, reached, bytes_of_text(session->id),
                          native_unix_us(session->native, now_us) / TIME_US_PER_S,
                          &ice->ticket) == 0)
        add_own(ice);
    for (size_t i = 0; i < config->ice_server_count; i++) {
        const struct native_ice_server *server = &config->ice_servers[i];
        ice->servers[ice->count++] = (struct wire_ice_server){ .urls = server->urls,
                                                               .urls_count = server->url_count,
                                                               .username = server->username,
                                                               .credential = server->credential };
    }
}

void native_ice_done(struct native_ice *ice)
{
    free(ice->servers);
    memory_wipe(ice, sizeof(*ice));
}

void native_ice_request(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message)
{
    struct native_ice ice;
    native_ice_init(&ice, session, now_us);
    wire_write_result_ice_servers(native_out(session->native), message->id,
                                  &(struct wire_result_ice_servers){
                                      .ice_servers = ice.servers, .ice_servers_count = ice.count });
    native_ice_done(&ice);
    native_send_reply(session, message->id);
}
