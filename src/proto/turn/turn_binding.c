#include "proto/turn/turn_server_int.h"

/** Binding (RFC 8489 section 12): what address the request came from. Needs no credentials. */
void turn_request_binding(struct turn_request *request)
{
    uint16_t unknown[8];
    static const uint16_t known[] = {
        STUN_USERNAME, STUN_REALM,    STUN_NONCE,         STUN_PASSWORD_ALGORITHM,
        STUN_USERHASH, STUN_PRIORITY, STUN_USE_CANDIDATE,
    };
    if (!turn_answer_allowed(request))
        return;
    size_t count = stun_message_unknown(request->message, known, array_size(known), unknown,
                                        array_size(unknown));
    struct turn_answer answer;
    if (count > 0) {
        turn_count_error(request->server, STUN_UNKNOWN_ATTRIBUTE);
        turn_answer_start(&answer, request, STUN_ERROR);
        const uint8_t value[4] = { 0, 0, 4, 20 }; // without a phrase, as for any stranger
        stun_write_bytes(&answer.writer, STUN_ERROR_CODE, bytes_of(value, sizeof(value)));
        stun_write_unknown(&answer.writer, unknown, count);
    } else {
        turn_answer_start(&answer, request, STUN_SUCCESS);
        stun_write_address(&answer.writer, STUN_XOR_MAPPED_ADDRESS, &request->source->path.remote);
    }
    turn_answer_send(&answer, request);
}
