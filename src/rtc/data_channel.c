#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sctp/dcep.h"
#include "rtc/data_int.h"

// Channels over the streams of the association (RFC 8832), and their end (RFC 8831, 6.7).

static const struct sctp_message reliable = { .retransmits_max = UINT32_MAX };

struct rtc_data_stream *data_stream_find(const struct rtc_data *data, uint16_t id)
{
    for (uint32_t i = 0; i < data->count; i++)
        if (data->streams[i]->id == id && data->streams[i]->state != RTC_DATA_GONE)
            return data->streams[i];
    return NULL;
}

static struct rtc_data_stream *stream_new(struct rtc_data *data, uint16_t id,
                                          const struct rtc_data_channel *channel)
{
    size_t text_size = channel->label.size + channel->protocol.size;
    struct rtc_data_stream *stream = memory_allocate(1, sizeof(*stream) + text_size);
    stream->id = id;
    stream->channel = *channel;
    stream->channel.label = bytes_of(stream->text, channel->label.size);
    stream->channel.protocol = bytes_of(stream->text + channel->label.size, channel->protocol.size);
    if (channel->label.size > 0)
        memcpy(stream->text, channel->label.data, channel->label.size);
    if (channel->protocol.size > 0)
        memcpy(stream->text + channel->label.size, channel->protocol.data, channel->protocol.size);
    if (stream->channel.priority == 0)
        stream->channel.priority = DATA_PRIORITY_DEFAULT;
    data->streams[data->count++] = stream;
    sctp_set_weight(data->sctp, id, stream->channel.priority);
    return stream;
}

void data_stream_free(struct rtc_data *data, struct rtc_data_stream *stream)
{
    data->gone -= stream->state == RTC_DATA_GONE;
    for (uint32_t i = 0; i < data->count; i++)
        if (data->streams[i] == stream)
            data->streams[i] = data->streams[--data->count];
    free(stream);
}

void data_streams_end(struct rtc_data *data, const char *reason)
{
    for (uint32_t i = 0; i < data->count; i++) {
        data->streams[i]->state = RTC_DATA_GONE;
        data->streams[i]->reason = reason;
    }
    data->gone = data->count;
    data->writable_wanted = false;
}

/** Our direction ends after what was sent in it. */
static void reset(struct rtc_peer *peer, uint16_t stream)
{
    int error = sctp_reset_stream(peer->data->sctp, stream);
    // -EALREADY: refused before; -ENOTCONN: it is about to end with the association
    if (error == -ENOENT)
        peer_count(peer, RTC_METRIC_DROPPED_DATA_STREAM, 1);
}

static bool tell_closed(struct rtc_data_stream *stream, const char *reason,
                        struct rtc_data_event *ret_event)
{
    bool news = !stream->told_closed;
    stream->told_closed = true;
    if (news)
        *ret_event = (struct rtc_data_event){ .kind = RTC_DATA_CLOSED,
                                              .stream = stream->id,
                                              .reason = reason };
    return news;
}

/** An event that comes after the one that is returned now. */
static void hold(struct rtc_data *data, const struct rtc_data_event *event)
{
    data->held = *event;
    data->has_held = true;
}

// Opening

static int send_control(struct rtc_data *data, uint64_t now_us, uint16_t stream, struct bytes bytes)
{
    struct blob *content = blob_new(bytes);
    if (!content)
        return -EAGAIN;
    struct sctp_message message = reliable;
    message.stream = stream;
    message.ppid = DCEP_PPID_CONTROL;
    message.content = content;
    int error = sctp_send(data->sctp, now_us, &message);
    blob_unref(content);
    return error;
}

void data_send_acks(struct rtc_data *data, uint64_t now_us)
{
    for (uint32_t i = 0; i < data->count; i++) {
        struct rtc_data_stream *stream = data->streams[i];
        if (!stream->ack_owed)
            continue;
        int error = send_control(data, now_us, stream->id, bytes_of(dcep_ack, sizeof(dcep_ack)));
        // with another output, when there is room, or the stream may be used again
        stream->ack_owed = error == -EAGAIN || error == -EBUSY;
    }
}

/**
 * The stream of a channel that is closed in both directions as the other side knows, while we wait
 * for its answer still: that got lost, or comes later. Frees it for another channel.
 */
static bool take_over(struct rtc_data *data, struct rtc_data_stream *stream,
                      struct rtc_data_event *ret_event)
{
    if (stream->state != RTC_DATA_CLOSING || !stream->reset_in || stream->reset_pending)
        return false;
    tell_closed(stream, NULL, ret_event);
    data_stream_free(data, stream);
    return true;
}

/** We took a stream for one that both know of, and the other side opens it: they do not. */
static void give_way(struct rtc_data *data, struct rtc_data_stream *stream,
                     struct rtc_data_event *ret_event)
{
    tell_closed(stream, NULL, ret_event);
    data_stream_free(data, stream);
}

static bool take_open(struct rtc_peer *peer, uint16_t id, const struct dcep_open *open,
                      struct rtc_data_event *ret_event)
{
    struct rtc_data *data = peer->data;
    struct rtc_data_stream *old = data_stream_find(data, id);
    struct rtc_data_event closed = { 0 };
    bool gives_way = old && old->channel.negotiated;
    bool taken_over = old && !gives_way;
    if (gives_way)
        give_way(data, old, &closed);
    else if (old && !take_over(data, old, &closed)) {
        peer_count(peer, RTC_METRIC_DROPPED_DATA_STREAM, 1);
        return false;
    }
    bool news = closed.kind == RTC_DATA_CLOSED;
    if (data->count == RTC_DATA_CHANNELS_MAX || open->label.size > RTC_DATA_LABEL_MAX ||
        open->protocol.size > RTC_DATA_LABEL_MAX || id >= sctp_streams(data->sctp)) {
        peer_count(peer, RTC_METRIC_DATA_REFUSED, 1);
        reset(peer, id);
        *ret_event = closed;
        return news;
    }
    const struct rtc_data_channel channel = {
        .ordered = !open->unordered,
        .reliability = (enum rtc_data_reliability)open->reliability,
        .limit = open->limit,
        .priority = open->priority,
        .label = open->label,
        .protocol = open->protocol,
    };
    struct rtc_data_stream *stream = stream_new(data, id, &channel);
    stream->state = RTC_DATA_OPEN;
    stream->ack_owed = true;
    stream->reset_pending = taken_over;
    peer_count(peer, RTC_METRIC_DATA_OPENED, 1);
    const struct rtc_data_event opened = { .kind = RTC_DATA_OPENED,
                                           .stream = id,
                                           .channel = &stream->channel };
    if (news)
        hold(data, &opened);
    *ret_event = news ? closed : opened;
    return true;
}

/** The other side has heard of a channel that we opened. */
static bool take_ack(struct rtc_peer *peer, struct rtc_data_stream *stream,
                     struct rtc_data_event *ret_event)
{
    if (!stream || stream->state != RTC_DATA_OPENING)
        return false;
    stream->state = RTC_DATA_OPEN;
    peer_count(peer, RTC_METRIC_DATA_OPENED, 1);
    *ret_event = (struct rtc_data_event){
        .kind = RTC_DATA_OPENED, .stream = stream->id, .ours = true, .channel = &stream->channel
    };
    return true;
}

static bool take_control(struct rtc_peer *peer, uint16_t id, struct bytes bytes,
                         struct rtc_data_event *ret_event)
{
    struct dcep_open open;
    if (dcep_is_ack(bytes))
        return take_ack(peer, data_stream_find(peer->data, id), ret_event);
    if (dcep_open_parse(bytes, &open) == 0)
        return take_open(peer, id, &open, ret_event);
    peer_count(peer, RTC_METRIC_DROPPED_DATA_MALFORMED, 1);
    return false;
}

// Messages

/** Takes the event's message as one of the application. Returns false for what is none. */
static bool take_message(const struct sctp_event *event, struct rtc_data_event *ret_event)
{
    struct blob *message = NULL;
    switch (event->ppid) {
    case DCEP_PPID_TEXT:
    case DCEP_PPID_BINARY:
        message = blob_ref(event->message);
        break;
    case DCEP_PPID_TEXT_EMPTY:
    case DCEP_PPID_BINARY_EMPTY:
        message = blob_new(bytes_of(NULL, 0));
        break;
    default:
        break;
    }
    if (!message)
        return false;
    *ret_event = (struct rtc_data_event){
        .kind = RTC_DATA_MESSAGE,
        .stream = event->stream,
        .text = event->ppid == DCEP_PPID_TEXT || event->ppid == DCEP_PPID_TEXT_EMPTY,
        .message = message,
    };
    return true;
}

static bool takes_unknown(const struct rtc_peer *peer, uint16_t id)
{
    return peer->takes_negotiated && peer->data->count < RTC_DATA_CHANNELS_MAX &&
           id < sctp_streams(peer->data->sctp);
}

/** A channel that both sides know of: its first message is what we hear of it. */
static void take_negotiated(struct rtc_peer *peer, uint16_t id, struct rtc_data_event *ret_event)
{
    const struct rtc_data_channel channel = { .ordered = true, .negotiated = true, .stream = id };
    struct rtc_data_stream *stream = stream_new(peer->data, id, &channel);
    stream->state = RTC_DATA_OPEN;
    peer_count(peer, RTC_METRIC_DATA_OPENED, 1);
    *ret_event = (struct rtc_data_event){ .kind = RTC_DATA_OPENED,
                                          .stream = id,
                                          .channel = &stream->channel };
}

static bool take_data(struct rtc_peer *peer, const struct sctp_event *event,
                      struct rtc_data_event *ret_event)
{
    struct rtc_data *data = peer->data;
    if (event->ppid == DCEP_PPID_CONTROL)
        return take_control(peer, event->stream, blob_bytes(event->message), ret_event);
    struct rtc_data_stream *stream = data_stream_find(data, event->stream);
    bool unknown = !stream && takes_unknown(peer, event->stream);
    if (!unknown && (!stream || stream->state == RTC_DATA_CLOSING)) {
        peer_count(peer, RTC_METRIC_DROPPED_DATA_STREAM, 1);
        return false;
    }
    struct rtc_data_event message;
    if (!take_message(event, &message)) {
        peer_count(peer, RTC_METRIC_DROPPED_DATA_MALFORMED, 1);
        return false;
    }
    if (unknown) {
        take_negotiated(peer, event->stream, ret_event);
        hold(data, &message);
        return true;
    }
    if (take_ack(peer, stream, ret_event)) { // a message overtook the acknowledgement
        hold(data, &message);
    } else {
        *ret_event = message;
    }
    return true;
}

int rtc_peer_data_send(struct rtc_peer *peer, uint64_t now_us, uint16_t id, struct blob *message,
                       bool text)
{
    struct rtc_data *data = peer->data;
    struct rtc_data_stream *stream = data && data->sctp ? data_stream_find(data, id) : NULL;
    if (!stream || stream->state == RTC_DATA_CLOSING)
        return -ENOENT;
    size_t size = blob_bytes(message).size;
    if (size > data->message_size_max)
        return -EMSGSIZE;
    if (size == 0 && !data->empty)
        data->empty = blob_new(bytes_of("", 1));
    struct sctp_message outgoing = reliable;
    outgoing.stream = id;
    // RFC 8832, 6: nothing may overtake our DATA_CHANNEL_OPEN
    outgoing.unordered = !stream->channel.ordered && stream->state == RTC_DATA_OPEN;
    outgoing.content = size > 0 ? message : data->empty;
    if (size > 0)
        outgoing.ppid = text ? DCEP_PPID_TEXT : DCEP_PPID_BINARY;
    else
        outgoing.ppid = text ? DCEP_PPID_TEXT_EMPTY : DCEP_PPID_BINARY_EMPTY;
    if (stream->channel.reliability == RTC_DATA_MAX_RETRANSMITS)
        outgoing.retransmits_max = stream->channel.limit;
    else if (stream->channel.reliability == RTC_DATA_MAX_LIFETIME)
        outgoing.lifetime_us = max_of(time_from_ms(stream->channel.limit), (uint64_t)1);
    int error = outgoing.content ? sctp_send(data->sctp, now_us, &outgoing) : -EAGAIN;
    if (error == -EBUSY) // not yet after the reset for an older channel
        error = -EAGAIN;
    if (error == -EAGAIN) {
        data->writable_wanted = true;
        data->writable_stream = id;
    }
    return error == 0 || error == -EAGAIN || error == -EMSGSIZE ? error : -ENOENT;
}

/** Also one of which RTC_DATA_CLOSED is yet to be told: that would be taken for a newer one's. */
static bool is_known(const struct rtc_data *data, uint16_t id)
{
    for (uint32_t i = 0; i < data->count; i++)
        if (data->streams[i]->id == id)
            return true;
    return false;
}

static int open_negotiated(struct rtc_peer *peer, const struct rtc_data_channel *channel,
                           uint16_t *ret_stream)
{
    struct rtc_data *data = peer->data;
    if (data->count == RTC_DATA_CHANNELS_MAX || channel->stream >= sctp_streams(data->sctp))
        return -ENOSPC;
    if (is_known(data, channel->stream))
        return -EADDRINUSE;
    stream_new(data, channel->stream, channel)->state = RTC_DATA_OPEN;
    peer_count(peer, RTC_METRIC_DATA_OPENED, 1);
    *ret_stream = channel->stream;
    return 0;
}

void rtc_peer_data_take_negotiated(struct rtc_peer *peer)
{
    peer->takes_negotiated = true;
}

int rtc_peer_data_open(struct rtc_peer *peer, uint64_t now_us,
                       const struct rtc_data_channel *channel, uint16_t *ret_stream)
{
    struct rtc_data *data = peer->data;
    if (!data || !data->sctp || sctp_streams(data->sctp) == 0)
        return -ENOTCONN;
    if (channel->label.size > RTC_DATA_LABEL_MAX || channel->protocol.size > RTC_DATA_LABEL_MAX)
        return -EMSGSIZE;
    if (channel->negotiated)
        return open_negotiated(peer, channel, ret_stream);
    // RFC 8832, 6: even ids are the DTLS client's
    uint32_t id = (channel->stream & ~UINT32_C(1)) | (peer_negotiated(peer)->starts_dtls ? 0 : 1);
    while (id < sctp_streams(data->sctp) && is_known(data, (uint16_t)id))
        id += 2;
    if (data->count == RTC_DATA_CHANNELS_MAX || id >= sctp_streams(data->sctp))
        return -ENOSPC;
    uint8_t bytes[DCEP_OPEN_HEADER_SIZE + 2 * RTC_DATA_LABEL_MAX];
    struct writer message = writer_of(bytes, sizeof(bytes));
    dcep_open_write(&message,
                    &(struct dcep_open){
                        .unordered = !channel->ordered,
                        .reliability = (enum dcep_reliability)channel->reliability,
                        .priority = channel->priority ? channel->priority : DATA_PRIORITY_DEFAULT,
                        .limit = channel->limit,
                        .label = channel->label,
                        .protocol = channel->protocol,
                    });
    int error = send_control(data, now_us, (uint16_t)id, writer_written(&message));
    if (error)
        return error;
    stream_new(data, (uint16_t)id, channel)->state = RTC_DATA_OPENING;
    *ret_stream = (uint16_t)id;
    return 0;
}

// The end

/** One direction more is closed. */
static bool take_reset(struct rtc_peer *peer, struct rtc_data_stream *stream,
                       struct rtc_data_event *ret_event)
{
    if (!stream)
        return false; // of a channel that was refused
    if (stream->state != RTC_DATA_CLOSING) {
        stream->state = RTC_DATA_CLOSING;
        reset(peer, stream->id);
    }
    if (!stream->reset_in || !stream->reset_out)
        return false;
    bool news = tell_closed(stream, NULL, ret_event);
    data_stream_free(peer->data, stream);
    return news;
}

/** A channel whose messages cannot be taken is of no use. */
static bool take_too_long(struct rtc_peer *peer, struct rtc_data_stream *stream,
                          struct rtc_data_event *ret_event)
{
    peer_count(peer, RTC_METRIC_DROPPED_DATA_TOO_LONG, 1);
    if (!stream || stream->state == RTC_DATA_CLOSING)
        return false;
    stream->state = RTC_DATA_CLOSING;
    reset(peer, stream->id);
    return tell_closed(stream, "A message was longer than announced.", ret_event);
}

void rtc_peer_data_close(struct rtc_peer *peer, uint16_t id)
{
    struct rtc_data *data = peer->data;
    struct rtc_data_stream *stream = data && data->sctp ? data_stream_find(data, id) : NULL;
    if (!stream || stream->state == RTC_DATA_CLOSING)
        return;
    stream->state = RTC_DATA_CLOSING;
    reset(peer, id);
}

bool data_take_event(struct rtc_peer *peer, const struct sctp_event *event,
                     struct rtc_data_event *ret_event)
{
    struct rtc_data *data = peer->data;
    struct rtc_data_stream *stream = data_stream_find(data, event->stream);
    bool taken = false;
    switch (event->kind) {
    case SCTP_ESTABLISHED:
        break;
    case SCTP_RESTARTED:
        data_streams_end(data, "The other side has begun its data channels anew.");
        break;
    case SCTP_CLOSED:
        data_streams_end(data, event->reason);
        break;
    case SCTP_MESSAGE:
        taken = take_data(peer, event, ret_event);
        blob_unref(event->message);
        break;
    case SCTP_MESSAGE_TOO_LONG:
        taken = take_too_long(peer, stream, ret_event);
        break;
    case SCTP_STREAM_RESET:
        if (stream)
            stream->reset_in = true;
        taken = take_reset(peer, stream, ret_event);
        break;
    case SCTP_STREAM_RESET_DONE:
        if (stream && stream->reset_pending) {
            stream->reset_pending = false;
            if (stream->state == RTC_DATA_CLOSING)
                reset(peer, stream->id);
            break;
        }
        if (stream) {
            stream->reset_out = true;
            // who cannot reset streams will not
            stream->reset_in |= !sctp_features(data->sctp).reconfig;
        }
        taken = take_reset(peer, stream, ret_event);
        break;
    }
    return taken;
}
