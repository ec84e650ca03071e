#include "proto/ice/ice_check.h"

#include <errno.h>

int ice_drop(struct ice_metrics *metrics, enum ice_metric reason)
{
    ice_count(metrics, reason);
    switch (reason) {
    case ICE_DROPPED_USERNAME:
    case ICE_DROPPED_INTEGRITY:
        return -EACCES;
    case ICE_DROPPED_BUSY:
        return -EBUSY;
    default:
        return -EBADMSG;
    }
}

int ice_message_read(struct bytes datagram, struct ice_metrics *metrics,
                     struct stun_message *ret_message)
{
    struct stun_message message;
    if (stun_message_parse(datagram, &message) < 0)
        return ice_drop(metrics, ICE_DROPPED_MALFORMED);
    if (message.method != STUN_BINDING)
        return ice_drop(metrics, ICE_DROPPED_METHOD);
    // FINGERPRINT must be there (RFC 8445, section 7.1.2), but nothing hangs on it behind a demux
    // that knows STUN by its cookie: only a wrong one is refused
    if (stun_message_check_fingerprint(&message) == -EBADMSG)
        return ice_drop(metrics, ICE_DROPPED_FINGERPRINT);
    *ret_message = message;
    return 0;
}

/** Reads the attributes of an authentic request. Returns 0 or -EBADMSG. */
static int read_attributes(const struct stun_message *message, struct ice_request *request)
{
    static const uint16_t known[] = { STUN_USERNAME, STUN_PRIORITY, STUN_USE_CANDIDATE };
    int error = stun_message_find_u32(message, STUN_PRIORITY, &request->priority);
    if (error == -EBADMSG)
        return error;
    error = stun_message_find_u64(message, STUN_ICE_CONTROLLING, &request->tie_breaker);
    if (error == -EBADMSG)
        return error;
    if (error == 0)
        request->role = ICE_ROLE_CONTROLLING;
    else if (stun_message_find_u64(message, STUN_ICE_CONTROLLED, &request->tie_breaker) == 0)
        request->role = ICE_ROLE_CONTROLLED;
    struct bytes flag;
    request->use_candidate = stun_message_find(message, STUN_USE_CANDIDATE, &flag);
    uint16_t unknown;
    if (stun_message_unknown(message, known, array_size(known), &unknown, 1) > 0)
        request->unknown = unknown;
    return 0;
}

int ice_request_read(const struct stun_message *message, const struct ice_session *const *sessions,
                     size_t count, struct ice_metrics *metrics, struct ice_request *ret_request,
                     size_t *ret_index)
{
    struct bytes username;
    if (!stun_message_find(message, STUN_USERNAME, &username))
        return ice_drop(metrics, ICE_DROPPED_USERNAME);
    size_t index = 0;
    while (index < count && !(sessions[index] && ice_session_accepts(sessions[index], username)))
        index++;
    if (index == count)
        return ice_drop(metrics, ICE_DROPPED_USERNAME);
    if (stun_message_check_integrity_key(message, &sessions[index]->local_key) < 0)
        return ice_drop(metrics, ICE_DROPPED_INTEGRITY);
    struct ice_request request = { 0 };
    if (read_attributes(message, &request) < 0)
        return ice_drop(metrics, ICE_DROPPED_ATTRIBUTE);
    *ret_request = request;
    *ret_index = index;
    return 0;
}

int ice_answer_authenticate(const struct stun_message *message, const struct ice_session *session,
                            struct ice_metrics *metrics)
{
    if (session->remote_size == 0 ||
        stun_message_check_integrity_key(message, &session->remote_key) < 0)
        return ice_drop(metrics, ICE_DROPPED_INTEGRITY);
    return 0;
}

size_t ice_check_write(const struct ice_check *check, const struct ice_session *session,
                       uint8_t *out, size_t capacity)
{
    struct stun_writer writer;
    stun_writer_start(&writer, out, capacity, STUN_REQUEST, STUN_BINDING, check->transaction_id);
    stun_write_bytes(&writer, STUN_USERNAME, ice_session_outgoing(session));
    stun_write_u32(&writer, STUN_PRIORITY, check->priority);
    stun_write_u64(&writer, check->controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED,
                   check->tie_breaker);
    if (check->use_candidate)
        stun_write_flag(&writer, STUN_USE_CANDIDATE);
    stun_write_integrity_key(&writer, &session->remote_key);
    stun_write_fingerprint(&writer);
    size_t size = stun_writer_finish(&writer);
    ensure(size > 0);
    return size;
}

size_t ice_answer_write(const struct ice_answer *answer, const struct ice_session *session,
                        uint8_t *out, size_t capacity)
{
    struct stun_writer writer;
    stun_writer_start(&writer, out, capacity, answer->error ? STUN_ERROR : STUN_SUCCESS,
                      STUN_BINDING, answer->transaction_id);
    if (answer->error == 0)
        stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, answer->mapped);
    else
        stun_write_error(&writer, answer->error);
    if (answer->error == STUN_UNKNOWN_ATTRIBUTE)
        stun_write_unknown(&writer, &answer->unknown, 1);
    stun_write_integrity_key(&writer, &session->local_key);
    stun_write_fingerprint(&writer);
    size_t size = stun_writer_finish(&writer);
    ensure(size > 0);
    return size;
}
