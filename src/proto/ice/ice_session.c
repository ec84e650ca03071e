#include "proto/ice/ice_session.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** RFC 8839, section 5.4: ALPHA / DIGIT / "+" / "/". */
static bool is_ice_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool valid_text(struct bytes text, size_t min, size_t max)
{
    if (text.size < min || text.size > max)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_ice_char(text.data[i]))
            return false;
    }
    return true;
}

bool ice_credentials_valid(const struct ice_credentials *credentials)
{
    return valid_text(credentials->ufrag, ICE_UFRAG_MIN, ICE_UFRAG_MAX) &&
           valid_text(credentials->pwd, ICE_PWD_MIN, ICE_PWD_MAX);
}

/** All but the keys. */
static struct ice_session *new_with_names(struct bytes local, struct bytes remote)
{
    size_t size = local.size * 2 + remote.size + 2;
    struct ice_session *session = memory_allocate(1, sizeof(*session) + size);
    session->local_size = (uint16_t)local.size;
    session->remote_size = (uint16_t)remote.size;
    struct writer names = writer_of(session->names, size);
    writer_bytes(&names, local.data, local.size);
    writer_u8(&names, ':');
    writer_bytes(&names, remote.data, remote.size);
    writer_u8(&names, ':');
    writer_bytes(&names, local.data, local.size);
    ensure(!names.failed);
    return session;
}

struct ice_session *ice_session_new(const struct ice_credentials *local,
                                    const struct ice_credentials *remote)
{
    if (!ice_credentials_valid(local) || (remote && !ice_credentials_valid(remote)))
        return NULL;
    struct ice_session *session =
        new_with_names(local->ufrag, remote ? remote->ufrag : (struct bytes){ 0 });
    hmac_key_init(&session->local_key, HASH_SHA1, local->pwd);
    if (remote)
        hmac_key_init(&session->remote_key, HASH_SHA1, remote->pwd);
    return session;
}

struct ice_session *ice_session_with_remote(const struct ice_session *base,
                                            const struct ice_credentials *remote)
{
    if (!ice_credentials_valid(remote))
        return NULL;
    struct ice_session *session = new_with_names(ice_session_local_ufrag(base), remote->ufrag);
    session->local_key = base->local_key;
    hmac_key_init(&session->remote_key, HASH_SHA1, remote->pwd);
    return session;
}

struct ice_session *ice_session_free(struct ice_session *session)
{
    if (session) {
        hmac_key_wipe(&session->local_key);
        hmac_key_wipe(&session->remote_key);
        free(session);
    }
    return NULL;
}

struct bytes ice_session_local_ufrag(const struct ice_session *session)
{
    return bytes_of(session->names, session->local_size);
}

struct bytes ice_session_remote_ufrag(const struct ice_session *session)
{
    return bytes_of(session->names + session->local_size + 1, session->remote_size);
}

struct bytes ice_session_outgoing(const struct ice_session *session)
{
    return bytes_of(session->names + session->local_size + 1,
                    (size_t)session->remote_size + 1 + session->local_size);
}

bool ice_session_accepts(const struct ice_session *session, struct bytes username)
{
    // the peer's own fragment proves nothing (our password does) and may be of another generation
    size_t prefix = (size_t)session->local_size + 1;
    return username.size > prefix && memcmp(username.data, session->names, prefix) == 0;
}
