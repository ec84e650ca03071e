#include "rtc/data.h"

#include <stdlib.h>

#include "base/memory.h"
#include "rtc/data_int.h"

// The association below the data channels of a peer: SCTP in records of DTLS (RFC 8261).

/** The port that our answers name (a=sctp-port). */
#define LOCAL_PORT 5000
/** In each direction. Browsers use ids up to 1023. */
#define STREAMS 1024
/** The packets of one call; others want to be served, too. */
#define OUTPUT_PACKETS 64
/** With its record a packet fills a datagram of DTLS_MTU_DEFAULT. */
#define PACKET_SIZE ((DTLS_MTU_DEFAULT - DTLS_RECORD_OVERHEAD) & ~3)

static struct sctp *association_new(struct rtc_peer *peer, const struct rtc_section *section)
{
    const struct sctp_config config = {
        .local_port = LOCAL_PORT,
        .remote_port = section->sctp_port,
        .streams = STREAMS,
        .packet_size = PACKET_SIZE,
        .receive_window = RTC_DATA_WINDOW,
        .send_capacity = RTC_DATA_BUFFER_MAX,
        .message_size_max = RTC_DATA_MESSAGE_MAX,
        .features = { true, true, true, true },
        .random = peer->thread->random,
        .metrics = peer->thread->counters.sctp,
    };
    return sctp_new(&config);
}

static void end(struct rtc_data *data, const char *reason)
{
    data_streams_end(data, reason);
    data->sctp = sctp_free(data->sctp);
    blob_unref(data->held.message);
    data->held = (struct rtc_data_event){ 0 };
    data->has_held = false;
}

void peer_data_sync(struct rtc_peer *peer)
{
    const struct rtc_section *section = rtc_negotiated_data(peer_negotiated(peer));
    if (section && !peer->data)
        peer->data = memory_new(struct rtc_data);
    struct rtc_data *data = peer->data;
    if (!section) {
        if (data && data->sctp)
            end(data, "The section of data channels has ended.");
        return;
    }
    data->message_size_max = section->message_size_max;
    if (data->sctp)
        return;
    data->sctp = association_new(peer, section);
    peer_data_start(peer);
}

void peer_data_free(struct rtc_peer *peer)
{
    struct rtc_data *data = peer->data;
    if (!data)
        return;
    end(data, NULL);
    while (data->count > 0)
        data_stream_free(data, data->streams[0]);
    blob_unref(data->empty);
    free(data);
    peer->data = NULL;
}

static bool is_running(const struct rtc_peer *peer)
{
    return peer->data && peer->data->sctp && peer->state == RTC_PEER_CONNECTED;
}

void peer_data_start(struct rtc_peer *peer)
{
    // both sides do so (RFC 8841, 9.3); the handshakes meet
    if (is_running(peer))
        sctp_connect(peer->data->sctp);
}

bool peer_data_input(struct rtc_peer *peer, uint64_t now_us)
{
    struct bytes packet;
    bool any = false;
    while (dtls_data(peer->dtls, &packet)) {
        any = true;
        if (is_running(peer))
            sctp_input(peer->data->sctp, now_us, packet);
        else
            peer_count(peer, RTC_METRIC_DROPPED_DATA_SECTION, 1);
    }
    return any;
}

void peer_data_tick(struct rtc_peer *peer, uint64_t now_us)
{
    if (is_running(peer))
        sctp_tick(peer->data->sctp, now_us);
}

uint64_t peer_data_deadline(const struct rtc_peer *peer)
{
    return is_running(peer) ? sctp_deadline(peer->data->sctp) : TIME_NEVER;
}

void peer_data_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch)
{
    if (!is_running(peer) || !dtls_connected(peer->dtls))
        return;
    data_send_acks(peer->data, now_us);
    for (uint32_t i = 0; i < OUTPUT_PACKETS; i++) {
        uint8_t *at = datagram_batch_reserve(batch, SCTP_PACKET_SIZE_MAX + DTLS_RECORD_OVERHEAD);
        if (!at)
            return;
        size_t size = sctp_output(peer->data->sctp, now_us, at + DTLS_RECORD_PREFIX);
        if (size == 0 || dtls_seal(peer->dtls, at, size) < 0)
            return;
        datagram_batch_commit(batch, &peer->path, size + DTLS_RECORD_OVERHEAD);
    }
}

void peer_data_goodbye(struct rtc_peer *peer)
{
    uint8_t packet[SCTP_PACKET_SIZE_MAX];
    if (!is_running(peer))
        return;
    sctp_abort(peer->data->sctp);
    size_t size = sctp_output(peer->data->sctp, 0, packet); // ABORT knows no time
    // without it close_notify says the same
    if (size > 0 && dtls_send(peer->dtls, bytes_of(packet, size)) < 0)
        peer_count(peer, RTC_METRIC_DROPPED_SEND_ROOM, 1);
}

size_t rtc_peer_data_buffered(const struct rtc_peer *peer)
{
    return is_running(peer) ? sctp_buffered(peer->data->sctp) : 0;
}

/** Half of the buffer is free again. */
static bool take_writable(struct rtc_data *data, struct rtc_data_event *ret_event)
{
    if (!data->writable_wanted || !data->sctp ||
        sctp_buffered(data->sctp) > RTC_DATA_BUFFER_MAX / 2)
        return false;
    data->writable_wanted = false;
    *ret_event =
        (struct rtc_data_event){ .kind = RTC_DATA_WRITABLE, .stream = data->writable_stream };
    return true;
}

/** Channels that went with their association. */
static bool take_gone(struct rtc_data *data, struct rtc_data_event *ret_event)
{
    for (uint32_t i = 0; data->gone > 0 && i < data->count; i++) {
        struct rtc_data_stream *stream = data->streams[i];
        if (stream->state != RTC_DATA_GONE)
            continue;
        bool told = stream->told_closed;
        *ret_event = (struct rtc_data_event){ .kind = RTC_DATA_CLOSED,
                                              .stream = stream->id,
                                              .reason = stream->reason };
        data_stream_free(data, stream);
        if (!told)
            return true;
        i--; // another one has its place
    }
    return false;
}

bool rtc_peer_data_event(struct rtc_peer *peer, struct rtc_data_event *ret_event)
{
    struct rtc_data *data = peer->data;
    struct sctp_event event;
    if (!data)
        return false;
    if (take_gone(data, ret_event) || take_writable(data, ret_event))
        return true;
    if (data->has_held) {
        *ret_event = data->held;
        data->has_held = false;
        data->held = (struct rtc_data_event){ 0 };
        return true;
    }
    while (data->sctp && sctp_event(data->sctp, &event))
        if (data_take_event(peer, &event, ret_event) || take_gone(data, ret_event))
            return true;
    return false;
}
