#include "server/media_data.h"

#include <errno.h>

#include "rtc/data.h"

/**
 * What is read of one session per turn of the loop: the others get theirs, and what a receiver on
 * another worker has to say about its pace is heard in between.
 */
#define TURN_MESSAGES 64
#define TURN_BYTES    (256 * 1024)
/** Messages on their way to one worker: more wait with their senders. */
#define IN_FLIGHT_MAX (4 * 1024 * 1024)
/** For messages of few bytes: what each costs anyway. */
#define PARCEL_OVERHEAD 256

static struct media_transport *find(struct media_worker *worker, handle session)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, session);
    return transport && transport->peer ? transport : NULL;
}

static int send_message(void *owner, uint64_t now_us, handle session, uint16_t stream,
                        struct blob *message, bool text)
{
    struct media_transport *transport = find(owner, session);
    if (!transport)
        return -ENOENT;
    return rtc_peer_data_send(transport->peer, now_us, stream, message, text);
}

static int open_channel(void *owner, uint64_t now_us, handle session,
                        const struct rtc_data_channel *channel, uint16_t *ret_stream)
{
    struct media_transport *transport = find(owner, session);
    if (!transport)
        return -ENOTCONN;
    return rtc_peer_data_open(transport->peer, now_us, channel, ret_stream);
}

static void close_channel(void *owner, handle session, uint16_t stream)
{
    struct media_worker *worker = owner;
    struct media_transport *transport = find(worker, session);
    if (!transport)
        return;
    rtc_peer_data_close(transport->peer, stream);
    media_worker_wake(worker, session);
}

static void wake(void *owner, handle session)
{
    media_worker_wake(owner, session);
}

static size_t weight(const struct data_message *message)
{
    return message->kind == DATA_PARCEL ? data_parcel_size(message->parcel) + PARCEL_OVERHEAD : 0;
}

static bool to_worker(void *owner, uint16_t index, const struct data_message *message)
{
    struct media_worker *worker = owner;
    struct worker_group *group = worker->worker->group;
    _Atomic size_t *in_flight = &worker->shared->data_in_flight[index];
    size_t size = weight(message);
    // messages wait with their senders; what is said about channels may use all of the queue
    if (size > 0 && (mailbox_is_crowded(&worker_group_get(group, index)->mailbox) ||
                     atomic_load_explicit(in_flight, memory_order_relaxed) > IN_FLIGHT_MAX))
        return false;
    atomic_fetch_add_explicit(in_flight, size, memory_order_relaxed);
    if (worker_group_send(group, index, MEDIA_MESSAGE_DATA, message, sizeof(*message)) == 0)
        return true;
    atomic_fetch_sub_explicit(in_flight, size, memory_order_relaxed);
    return false;
}

void media_data_received(struct media_worker *worker, const struct data_message *message)
{
    _Atomic size_t *in_flight = &worker->shared->data_in_flight[worker->worker->index];
    atomic_fetch_sub_explicit(in_flight, weight(message), memory_order_relaxed);
    data_hub_message_input(worker->data, media_now_us(worker), message);
}

static const struct data_hub_ops data_ops = {
    .send = send_message,
    .open = open_channel,
    .close = close_channel,
    .wake = wake,
    .to_worker = to_worker,
};

struct data_hub *media_data_new(struct media_worker *worker)
{
    struct data_hub_config config = {
        .worker = (uint16_t)worker->worker->index,
        .worker_count = (uint16_t)worker->shared->count,
        .ops = &data_ops,
        .owner = worker,
    };
    return data_hub_new(&config);
}

static void take_event(struct media_worker *worker, struct media_transport *transport,
                       const struct rtc_data_event *event)
{
    uint64_t now_us = media_now_us(worker);
    switch (event->kind) {
    case RTC_DATA_OPENED:
        if (!event->ours)
            data_hub_opened(worker->data, now_us, transport->session, event->stream,
                            event->channel);
        break;
    case RTC_DATA_MESSAGE:
        transport->data_messages++;
        transport->data_bytes += blob_bytes(event->message).size;
        data_hub_input(worker->data, now_us, transport->session, event->stream, event->text,
                       event->message);
        break;
    case RTC_DATA_CLOSED:
        data_hub_closed(worker->data, now_us, transport->session, event->stream);
        break;
    case RTC_DATA_WRITABLE:
        break; // the backlog is tried each time that the transport is served
    }
}

static bool has_turn_left(const struct media_transport *transport)
{
    return transport->data_messages < TURN_MESSAGES && transport->data_bytes < TURN_BYTES;
}

void media_data_serve(struct media_worker *worker, struct media_transport *transport)
{
    uint64_t now_us = media_now_us(worker);
    data_hub_serve(worker->data, now_us, transport->data);
    if (transport->data_turn_us != now_us) {
        transport->data_turn_us = now_us;
        transport->data_messages = 0;
        transport->data_bytes = 0;
    }
    struct rtc_data_event event;
    while (data_hub_reads(transport->data) && has_turn_left(transport) &&
           rtc_peer_data_event(transport->peer, &event))
        take_event(worker, transport, &event);
}

bool media_data_is_due(const struct media_transport *transport)
{
    return !has_turn_left(transport) && data_hub_reads(transport->data);
}
