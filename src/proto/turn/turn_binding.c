#include "proto/stun/stun_binding.h"
#include "proto/turn/turn_server_int.h"

/**
 * Binding (RFC 8489 section 12): what address the request came from. Needs no credentials. Servers
 * with NAT behaviour discovery, which needs four sockets, answer before the engine is asked.
 */
void turn_request_binding(struct turn_request *request)
{
    static const struct stun_binding_config plain = { 0 };
    struct turn_server *server = request->server;
    const struct stun_binding_request binding = {
        .message = request->message->bytes,
        .source = request->source->path.remote,
        .stream = request->source->transport != TURN_UDP,
    };
    uint8_t out[STUN_BINDING_ANSWER_MAX];
    struct stun_binding_answer answer;
    struct stun_message parsed;
    uint16_t code;
    if (!turn_answer_allowed(request))
        return;
    if (stun_binding_answer(&plain, &binding, out, &answer) < 0) {
        turn_count(server, TURN_METRIC_DROPPED_MALFORMED);
        return;
    }
    if (stun_message_parse(bytes_of(out, answer.size), &parsed) == 0 &&
        parsed.class == STUN_ERROR && stun_message_find_error(&parsed, &code, NULL) == 0)
        turn_count_error(server, code);
    server->ops->send(server->owner, request->source, bytes_of(out, answer.size));
}
