#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

void turn_count_error(struct turn_server *server, uint16_t code)
{
    static const struct {
        uint16_t code;
        enum turn_metric metric;
    } metrics[] = {
        { 300, TURN_METRIC_ERRORS_300 }, { 400, TURN_METRIC_ERRORS_400 },
        { 401, TURN_METRIC_ERRORS_401 }, { 403, TURN_METRIC_ERRORS_403 },
        { 420, TURN_METRIC_ERRORS_420 }, { 437, TURN_METRIC_ERRORS_437 },
        { 438, TURN_METRIC_ERRORS_438 }, { 440, TURN_METRIC_ERRORS_440 },
        { 441, TURN_METRIC_ERRORS_441 }, { 442, TURN_METRIC_ERRORS_442 },
        { 443, TURN_METRIC_ERRORS_443 }, { 446, TURN_METRIC_ERRORS_446 },
        { 447, TURN_METRIC_ERRORS_447 }, { 486, TURN_METRIC_ERRORS_486 },
        { 508, TURN_METRIC_ERRORS_508 },
    };
    for (size_t i = 0; i < array_size(metrics); i++) {
        if (metrics[i].code == code) {
            turn_count(server, metrics[i].metric);
            return;
        }
    }
    turn_count(server, TURN_METRIC_ERRORS_500);
}

void turn_answer_start(struct turn_answer *answer, const struct turn_request *request,
                       enum stun_class class)
{
    stun_writer_start(&answer->writer, answer->buffer, sizeof(answer->buffer), class,
                      request->message->method, stun_message_transaction_id(request->message));
}

static void write_software(const struct turn_server *server, struct stun_writer *writer)
{
    if (server->config->software)
        stun_write_bytes(writer, STUN_SOFTWARE, bytes_of_text(server->config->software));
}

static void send_written(struct turn_server *server, const struct turn_source *to,
                         struct turn_answer *answer)
{
    size_t size = stun_writer_finish(&answer->writer);
    ensure(size > 0);
    server->ops->send(server->owner, to, bytes_of(answer->buffer, size));
}

void turn_answer_send(struct turn_answer *answer, struct turn_request *request)
{
    if (request->authenticated) {
        write_software(request->server, &answer->writer);
        turn_auth_write_integrity(&request->identity, &answer->writer);
    }
    // a client that uses FINGERPRINT tells our answers from other traffic by it
    if (request->message->fingerprint)
        stun_write_fingerprint(&answer->writer);
    send_written(request->server, request->source, answer);
}

void turn_answer_success(struct turn_request *request)
{
    struct turn_answer answer;
    turn_answer_start(&answer, request, STUN_SUCCESS);
    turn_answer_send(&answer, request);
}

void turn_answer_error(struct turn_request *request, uint16_t code)
{
    struct turn_answer answer;
    turn_count_error(request->server, code);
    turn_answer_start(&answer, request, STUN_ERROR);
    stun_write_error(&answer.writer, code);
    turn_answer_send(&answer, request);
}

void turn_answer_unknown(struct turn_request *request, const uint16_t *types, size_t count)
{
    struct turn_answer answer;
    turn_count_error(request->server, STUN_UNKNOWN_ATTRIBUTE);
    turn_answer_start(&answer, request, STUN_ERROR);
    stun_write_error(&answer.writer, STUN_UNKNOWN_ATTRIBUTE);
    stun_write_unknown(&answer.writer, types, count);
    turn_answer_send(&answer, request);
}

bool turn_answer_allowed(struct turn_request *request)
{
    // whoever has an allocation is no stranger: its nonce may have become stale
    if (request->allocation ||
        turn_quota_stranger(request->server->quota, &request->source->path.remote, request->now_us))
        return true;
    turn_count(request->server, TURN_METRIC_DROPPED_RATE_LIMIT);
    return false;
}

void turn_answer_stranger(struct turn_request *request, uint16_t code)
{
    if (!turn_answer_allowed(request))
        return;
    struct turn_server *server = request->server;
    struct turn_answer answer;
    turn_count_error(server, code);
    turn_answer_start(&answer, request, STUN_ERROR);
    // no reason phrase: the source may be forged, so that every byte is one of an attack
    const uint8_t value[4] = { 0, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };
    stun_write_bytes(&answer.writer, STUN_ERROR_CODE, bytes_of(value, sizeof(value)));
    if (code == STUN_UNAUTHENTICATED || code == STUN_STALE_NONCE) {
        const struct turn_auth_request auth = {
            .message = request->message,
            .source = &request->source->path.remote,
            .now_us = request->now_us,
            .now_unix_s = turn_unix_s(server, request->now_us),
        };
        turn_auth_write_challenge(server->settings, server->nonce_key, &auth, &answer.writer);
    }
    turn_answer_send(&answer, request);
}

void turn_protection_set(struct turn_protection *protection, const struct turn_request *request)
{
    const struct turn_identity *identity = &request->identity;
    *protection = (struct turn_protection){
        .key_size = identity->key_size,
        .sha256 = identity->sha256,
        .none = identity->none,
        .fingerprint = request->message->fingerprint != 0,
    };
    memcpy(protection->key, identity->key, sizeof(protection->key));
    memcpy(protection->transaction_id, stun_message_transaction_id(request->message),
           STUN_TRANSACTION_ID_SIZE);
}

void turn_answer_later(struct turn_server *server, const struct turn_source *to,
                       const struct turn_protection *protection, uint16_t method, uint16_t code,
                       uint32_t connection)
{
    struct turn_answer answer;
    stun_writer_start(&answer.writer, answer.buffer, sizeof(answer.buffer),
                      code ? STUN_ERROR : STUN_SUCCESS, method, protection->transaction_id);
    if (code) {
        turn_count_error(server, code);
        stun_write_error(&answer.writer, code);
    } else {
        stun_write_u32(&answer.writer, STUN_CONNECTION_ID, connection);
    }
    write_software(server, &answer.writer);
    struct bytes key = bytes_of(protection->key, protection->key_size);
    if (protection->none) {
        // a closed network: nobody has a key
    } else if (protection->sha256) {
        stun_write_integrity_sha256(&answer.writer, key);
    } else {
        stun_write_integrity(&answer.writer, key);
    }
    if (protection->fingerprint)
        stun_write_fingerprint(&answer.writer);
    send_written(server, to, &answer);
}
