// The control API: statistics of a member's media connection. Two samples, so that there are rates.
#include <errno.h>
#include <stdlib.h>

#include "admin/control_api_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/loop.h"
#include "server/media_stats.h"

#define INTERVAL_US (500 * TIME_US_PER_MS)

/** A request under way. */
struct sample {
    struct list node;
    struct control_api *api;
    handle exchange;
    handle session;
    struct loop_timer timer; /**< to the second look */
    bool has_first;
    bool asked; /**< the media server will call back */
    struct rtc_peer_stats first;
};

static void sample_free(struct sample *sample)
{
    list_remove(&sample->node);
    loop_timer_cancel(&sample->timer);
    free(sample);
}

/** The exchange, when its client still waits. */
static struct http_exchange *waiting_client(const struct sample *sample)
{
    struct http_server *http = sample->api->config.http;
    return http ? http_server_find_exchange(http, sample->exchange) : NULL;
}

static json_t *milliseconds(uint64_t us)
{
    return us ? json_real((double)us / 1000.0) : json_null();
}

static uint64_t rate(const struct sample *sample, const struct rtc_peer_stats *now,
                     const struct rtc_stream_stats *stream)
{
    uint64_t elapsed_us = now->at_us - sample->first.at_us, before = 0;
    for (uint32_t i = 0; i < sample->first.stream_count; i++) {
        const struct rtc_stream_stats *old = &sample->first.streams[i];
        if (old->ssrc == stream->ssrc && old->outgoing == stream->outgoing)
            before = old->bytes;
    }
    if (elapsed_us == 0 || stream->bytes < before)
        return 0;
    return (stream->bytes - before) * 8 * TIME_US_PER_S / elapsed_us;
}

static json_t *stream_json(const struct sample *sample, const struct rtc_peer_stats *now,
                           const struct rtc_stream_stats *stream)
{
    json_t *json = json_pack(
        "{s:s,s:i,s:I,s:I,s:I,s:I,s:I,s:f}", "direction",
        stream->outgoing ? "to_participant" : "from_participant", "section", (int)stream->section,
        "ssrc", (json_int_t)stream->ssrc, "packets", (json_int_t)stream->packets, "bytes",
        (json_int_t)stream->bytes, "lost", (json_int_t)stream->lost, "bitrate_bps",
        (json_int_t)rate(sample, now, stream), "jitter_ms", (double)stream->jitter_us / 1000.0);
    if (stream->outgoing) {
        json_object_set_new(json, "loss", json_real(stream->fraction_lost / 256.0));
        json_object_set_new(json, "rtt_ms", milliseconds(stream->round_trip_us));
    } else {
        json_object_set_new(json, "layer", json_integer(stream->layer));
    }
    return json;
}

static json_t *congestion_json(const struct rtc_congestion_stats *congestion)
{
    if (!congestion->known)
        return json_null();
    return json_pack("{s:I,s:f,s:f,s:f,s:s}", "acknowledged_bps",
                     (json_int_t)congestion->acknowledged_bps, "rtt_ms",
                     congestion->round_trip_us / 1000.0, "queue_ms", congestion->queue_us / 1000.0,
                     "loss", congestion->loss, "limited_by", congestion->limited_by);
}

static json_t *sctp_json(const struct rtc_data_stats *sctp)
{
    if (!sctp->associated)
        return json_null();
    return json_pack("{s:b,s:b,s:b,s:b}", "partial_reliability", (int)sctp->partial_reliability,
                     "interleaving", (int)sctp->interleaving, "stream_reset",
                     (int)sctp->stream_reset, "zero_checksum", (int)sctp->zero_checksum);
}

static json_t *data_json(const struct data_stats *data, const struct rtc_data_stats *sctp)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:o}", "channels", (json_int_t)data->channels,
        "messages_from_participant", (json_int_t)data->messages_in, "bytes_from_participant",
        (json_int_t)data->bytes_in, "messages_to_participant", (json_int_t)data->messages_out,
        "bytes_to_participant", (json_int_t)data->bytes_out, "dropped", (json_int_t)data->dropped,
        "waiting_bytes", (json_int_t)data->backlog_bytes, "held", (int)data->held, "sctp",
        sctp_json(sctp));
}

static json_t *stats_json(const struct sample *sample, const struct media_session_stats *stats)
{
    const struct rtc_peer_stats *now = &stats->rtc;
    json_t *streams = json_array();
    for (uint32_t i = 0; i < now->stream_count; i++)
        json_array_append_new(streams, stream_json(sample, now, &now->streams[i]));
    char remote[NET_ADDRESS_TEXT_MAX];
    bool has_path = now->path.remote.family != NET_NONE;
    return json_pack(
        "{s:b,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o}", "connected", (int)now->connected, "remote",
        has_path ? json_string(net_address_format(&now->path.remote, remote)) : json_null(),
        "rtt_ms", milliseconds(now->rtt_us), "bandwidth_bps",
        now->bandwidth_bps ? json_integer((json_int_t)now->bandwidth_bps) : json_null(),
        "allocated_bps", (json_int_t)now->allocated_bps, "wanted_bps", (json_int_t)now->wanted_bps,
        "congestion", congestion_json(&now->congestion), "streams", streams, "data",
        data_json(&stats->data, &now->data));
}

static void refuse(struct http_exchange *exchange, int error)
{
    if (error == -EAGAIN)
        http_exchange_fail(exchange, 503, "Too many ask for statistics at once.");
    else
        http_exchange_fail(exchange, 409, "The participant has no media connection.");
}

static void answered(void *owner, const struct media_session_stats *stats)
{
    struct sample *sample = owner;
    struct http_exchange *exchange = waiting_client(sample);
    sample->asked = false;
    if (exchange && stats && !sample->has_first) {
        sample->first = stats->rtc;
        sample->has_first = true;
        loop_timer_set_after(&sample->timer, INTERVAL_US);
        return;
    }
    if (exchange && stats)
        control_respond(exchange, 200, stats_json(sample, stats));
    else if (exchange)
        refuse(exchange, -ENOENT);
    sample_free(sample);
}

static void look(struct sample *sample)
{
    int result = media_host_stats(sample->api->config.media, sample->session, answered, sample);
    sample->asked = result == 0;
    if (sample->asked)
        return;
    struct http_exchange *exchange = waiting_client(sample);
    if (exchange)
        refuse(exchange, result);
    sample_free(sample);
}

static void due(struct loop_timer *timer, unused uint64_t now_us)
{
    look(container_of(timer, struct sample, timer));
}

void control_member_stats(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    const struct room_member *member = control_member(api, exchange);
    if (!member)
        return;
    struct sample *sample = memory_new(struct sample);
    sample->api = api;
    sample->exchange = http_exchange_handle(exchange);
    sample->session = member->media;
    loop_timer_init(&sample->timer, api->config.loop, due);
    list_append(&api->samples, &sample->node);
    look(sample);
}

void control_stats_stop(struct control_api *api)
{
    struct sample *sample;
    list_each(sample, &api->samples, node)
    {
        // those that were asked for end with the media server's answer
        if (!sample->asked)
            sample_free(sample);
    }
}
