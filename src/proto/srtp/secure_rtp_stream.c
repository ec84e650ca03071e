#include <stdlib.h>

#include "base/memory.h"
#include "proto/srtp/secure_rtp_int.h"

#define FIRST_CAPACITY 4

struct secure_rtp_stream *secure_rtp_stream_find(struct secure_rtp_session *session, uint32_t ssrc)
{
    uint32_t last = session->stream_last;
    if (last < session->stream_count && session->ssrcs[last] == ssrc)
        return session->streams[last];
    for (uint32_t i = 0; i < session->stream_count; i++) {
        if (session->ssrcs[i] == ssrc) {
            session->stream_last = i;
            return session->streams[i];
        }
    }
    return NULL;
}

struct secure_rtp_stream *secure_rtp_stream_get(struct secure_rtp_session *session, uint32_t ssrc)
{
    struct secure_rtp_stream *stream = secure_rtp_stream_find(session, ssrc);
    if (stream)
        return stream;
    ensure(session->stream_count < session->stream_limit);
    if (session->stream_count == session->stream_capacity) {
        uint32_t capacity = max_of(session->stream_capacity * 2, (uint32_t)FIRST_CAPACITY);
        session->ssrcs = memory_resize(session->ssrcs, capacity * sizeof(*session->ssrcs));
        session->streams = memory_resize(session->streams, capacity * sizeof(*session->streams));
        session->stream_capacity = capacity;
    }
    stream = memory_new(struct secure_rtp_stream);
    session->stream_last = session->stream_count++;
    session->ssrcs[session->stream_last] = ssrc;
    session->streams[session->stream_last] = stream;
    return stream;
}

void secure_rtp_forget(struct secure_rtp_session *session, uint32_t ssrc)
{
    struct secure_rtp_stream *stream = secure_rtp_stream_find(session, ssrc);
    if (!stream)
        return;
    uint32_t at = session->stream_last;
    uint32_t end = --session->stream_count;
    free(stream);
    session->ssrcs[at] = session->ssrcs[end];
    session->streams[at] = session->streams[end];
}

uint32_t secure_rtp_stream_count(const struct secure_rtp_session *session)
{
    return session->stream_count;
}
