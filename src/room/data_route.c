// The sender's side: whom a message is for, and whether one of them has room for it.
#include <stdlib.h>
#include <string.h>

#include "room/data_hub_int.h"

/** Those whom a parcel reaches now. */
struct survey {
    size_t count;
    bool ready;                  /**< one of them keeps up */
    struct data_workers workers; /**< others that have some of them */
};

static bool is_for_channel(const struct data_parcel *parcel, const struct data_channel *channel)
{
    const struct data_peer *peer = channel->peer;
    return peer->session != parcel->from && !data_channel_is_doomed(channel) &&
           data_parcel_is_for(parcel, peer->member.id);
}

static struct survey survey(const struct data_label *label, const struct data_parcel *parcel)
{
    struct survey found = { 0 };
    const struct data_channel *channel;
    list_each(channel, &label->locals, by_label)
    {
        if (!is_for_channel(parcel, channel))
            continue;
        found.count++;
        found.ready |= !channel->peer->slow;
    }
    const struct data_remote *remote;
    list_each(remote, &label->remotes, by_label)
    {
        if (!data_parcel_is_for(parcel, remote->member))
            continue;
        found.count++;
        found.ready |= !remote->slow;
        data_workers_set(&found.workers, remote->worker, true);
    }
    return found;
}

static void deliver(struct data_hub *hub, uint64_t now_us, const struct data_label *label,
                    struct data_parcel *parcel)
{
    struct data_channel *channel;
    list_each(channel, &label->locals, by_label)
    {
        if (is_for_channel(parcel, channel))
            data_channel_send(hub, now_us, channel, parcel->message, parcel->text,
                              parcel->droppable);
    }
}

void data_hub_deliver(struct data_hub *hub, uint64_t now_us, struct data_parcel *parcel)
{
    const struct data_label *label = data_label_find(hub, parcel->name);
    if (label)
        deliver(hub, now_us, label, parcel);
    data_settle(hub, now_us);
}

/** Gives the parcel to `workers`; those that have no room now stay in the set. */
static bool send_to_workers(struct data_hub *hub, struct data_parcel *parcel,
                            struct data_workers *workers)
{
    bool sent = true;
    for (uint16_t worker = 0; worker < hub->config.worker_count; worker++) {
        if (!data_workers_have(workers, worker))
            continue;
        struct data_message message = { .kind = DATA_PARCEL,
                                        .worker = hub->config.worker,
                                        .parcel = data_parcel_ref(parcel) };
        if (hub->config.ops->to_worker(hub->config.owner, worker, &message)) {
            data_count(hub, DATA_METRIC_PARCELS, 1);
            data_workers_set(workers, worker, false);
        } else {
            data_parcel_unref(parcel);
            sent = false;
        }
    }
    return sent;
}

static void hold(struct data_peer *peer, struct data_parcel *parcel, struct list *list)
{
    peer->held = data_parcel_ref(parcel);
    list_append(list, &peer->held_node);
}

static void wait_for_queue(struct data_hub *hub, struct data_peer *peer, struct data_parcel *parcel,
                           const struct data_workers *left)
{
    if (parcel->droppable) {
        data_count(hub, DATA_METRIC_DROPPED_QUEUE, 1);
        return;
    }
    peer->held_sent = true;
    peer->held_for = *left;
    hold(peer, parcel, &hub->waiting);
}

/** Sends the parcel on, or holds it. */
static void pass(struct data_hub *hub, uint64_t now_us, struct data_peer *peer,
                 struct data_parcel *parcel)
{
    struct data_label *label = data_label_find(hub, parcel->name);
    struct survey found = label ? survey(label, parcel) : (struct survey){ 0 };
    if (found.count == 0 && label && label->twin == DATA_TWIN_WANTED) {
        peer->held_sent = false;
        hold(peer, parcel, &label->held);
        return;
    }
    if (found.count == 0) {
        data_count(hub, DATA_METRIC_DROPPED_NOBODY, 1);
        return;
    }
    if (!found.ready && !parcel->droppable) {
        peer->held_sent = false;
        hold(peer, parcel, &label->held);
        return;
    }
    deliver(hub, now_us, label, parcel);
    if (!send_to_workers(hub, parcel, &found.workers))
        wait_for_queue(hub, peer, parcel, &found.workers);
}

void data_peer_drop_held(struct data_peer *peer)
{
    list_remove(&peer->held_node);
    peer->held = data_parcel_unref(peer->held);
}

void data_peer_retry(struct data_hub *hub, uint64_t now_us, struct data_peer *peer)
{
    struct data_parcel *parcel = data_parcel_ref(peer->held);
    data_peer_drop_held(peer);
    if (!peer->held_sent)
        pass(hub, now_us, peer, parcel);
    else if (!send_to_workers(hub, parcel, &peer->held_for))
        hold(peer, parcel, &hub->waiting);
    data_parcel_unref(parcel);
    if (!peer->held)
        hub->config.ops->wake(hub->config.owner, peer->session);
}

/** What a member sent, as it is delivered; NULL when it is dropped (counted). */
static struct data_parcel *make_parcel(struct data_hub *hub, const struct data_peer *peer,
                                       const struct data_channel *channel, bool text,
                                       struct blob *message)
{
    struct data_parcel_config config = {
        .from = peer->session,
        .name = channel->label->name,
        .message = message,
        .text = text,
        .droppable = !channel->reliable,
    };
    if (!channel->envelope)
        return data_parcel_new(&config);
    struct data_envelope envelope;
    if (text || data_envelope_read(blob_bytes(message), &envelope) < 0) {
        data_count(hub, DATA_METRIC_DROPPED_ENVELOPE, 1);
        return NULL;
    }
    config.to = (const char(*)[DATA_MEMBER_SIZE])envelope.ids;
    config.to_count = (uint32_t)envelope.id_count;
    config.message =
        data_envelope_deliver(envelope.kind, peer->member.id, envelope.id_count > 0, envelope.rest);
    if (!config.message) {
        data_count(hub, DATA_METRIC_DROPPED_MEMORY, 1);
        return NULL;
    }
    struct data_parcel *parcel = data_parcel_new(&config);
    blob_unref(config.message);
    return parcel;
}

static void take(struct data_hub *hub, uint64_t now_us, struct data_peer *peer,
                 const struct data_channel *channel, bool text, struct blob *message)
{
    size_t size = blob_bytes(message).size;
    peer->stats.messages_in++;
    peer->stats.bytes_in += size;
    data_count(hub, DATA_METRIC_MESSAGES_IN, 1);
    data_count(hub, DATA_METRIC_BYTES_IN, size);
    if (!peer->member.may_send) {
        data_count(hub, DATA_METRIC_DROPPED_DENIED, 1);
        return;
    }
    struct data_parcel *parcel = make_parcel(hub, peer, channel, text, message);
    if (!parcel)
        return;
    pass(hub, now_us, peer, parcel);
    if (peer->held)
        data_count(hub, peer->held_sent ? DATA_METRIC_HELD_QUEUE : DATA_METRIC_HELD, 1);
    data_parcel_unref(parcel);
}

void data_hub_input(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream,
                    bool text, struct blob *message)
{
    struct data_peer *peer = data_peer_find(hub, session);
    struct data_channel *channel = peer ? data_channel_find(peer, stream) : NULL;
    ensure(!peer || !peer->held);
    if (channel && !data_channel_is_doomed(channel)) {
        channel->used = true;
        take(hub, now_us, peer, channel, text, message);
    }
    blob_unref(message);
    data_settle(hub, now_us);
}

bool data_hub_reads(const struct data_peer *peer)
{
    return !peer->held;
}
