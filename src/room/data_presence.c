// What workers know of each other's channels. What meets a full queue is said again with the tick.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "room/data_hub_int.h"

static bool say(struct data_hub *hub, uint16_t worker, struct data_message *message)
{
    message->worker = hub->config.worker;
    return hub->config.ops->to_worker(hub->config.owner, worker, message);
}

static bool say_here(struct data_hub *hub, uint16_t worker, const struct data_channel *channel)
{
    struct data_message message = { .kind = DATA_CHANNEL_HERE, .channel = channel->number };
    memcpy(message.member, channel->peer->member.id, sizeof(message.member));
    message.name = blob_ref(channel->label->name);
    if (say(hub, worker, &message))
        return true;
    blob_unref(message.name);
    return false;
}

static bool say_state(struct data_hub *hub, uint16_t worker, const struct data_channel *channel,
                      enum data_message_kind kind)
{
    return say(hub, worker, &(struct data_message){ .kind = kind, .channel = channel->number });
}

/** Tells one worker; false when something is left to be said to it. */
static bool tell_worker(struct data_hub *hub, struct data_channel *channel, uint16_t worker)
{
    if (!channel->peer) {
        if (data_workers_have(&channel->here, worker) &&
            !say_state(hub, worker, channel, DATA_CHANNEL_GONE))
            return false;
        data_workers_set(&channel->here, worker, false);
        return true;
    }
    if (!data_workers_have(&channel->here, worker)) {
        if (!say_here(hub, worker, channel))
            return false;
        data_workers_set(&channel->here, worker, true);
    }
    bool slow = channel->peer->slow;
    if (data_workers_have(&channel->slow, worker) == slow)
        return true;
    if (!say_state(hub, worker, channel, slow ? DATA_CHANNEL_SLOW : DATA_CHANNEL_READY))
        return false;
    data_workers_set(&channel->slow, worker, slow);
    return true;
}

void data_channel_tell(struct data_hub *hub, struct data_channel *channel)
{
    bool told = true;
    for (uint16_t worker = 0; worker < hub->config.worker_count; worker++) {
        if (worker != hub->config.worker)
            told &= tell_worker(hub, channel, worker);
    }
    list_remove(&channel->untold);
    if (!told)
        list_append(&hub->untold, &channel->untold);
    else if (!channel->peer)
        free(channel);
}

void data_tell_again(struct data_hub *hub)
{
    struct list *last = hub->untold.previous;
    for (bool more = !list_empty(&hub->untold); more;) {
        struct data_channel *channel = container_of(hub->untold.next, struct data_channel, untold);
        more = &channel->untold != last;
        data_channel_tell(hub, channel);
    }
}

void data_remote_free(struct data_hub *hub, struct data_remote *remote)
{
    map_remove(&hub->remotes, map_key_u64(&remote->number));
    list_remove(&remote->by_label);
    data_label_changed(hub, remote->label);
    free(remote);
}

static void take_here(struct data_hub *hub, uint64_t now_us, const struct data_message *message)
{
    struct data_remote *remote = memory_new(struct data_remote);
    remote->number = message->channel;
    remote->worker = message->worker;
    memcpy(remote->member, message->member, sizeof(remote->member));
    remote->label = data_label_get(hub, message->name);
    list_append(&remote->label->remotes, &remote->by_label);
    ensure(!map_set(&hub->remotes, map_key_u64(&remote->number), remote));
    data_twin_label(hub, now_us, remote->label);
}

static void set_slow(struct data_hub *hub, struct data_remote *remote, bool slow)
{
    remote->slow = slow;
    if (!slow)
        data_label_changed(hub, remote->label);
}

void data_hub_message_input(struct data_hub *hub, uint64_t now_us,
                            const struct data_message *message)
{
    struct data_remote *remote = map_find(&hub->remotes, map_key_u64(&message->channel));
    switch (message->kind) {
    case DATA_CHANNEL_HERE:
        take_here(hub, now_us, message);
        break;
    case DATA_CHANNEL_GONE:
        if (remote)
            data_remote_free(hub, remote);
        break;
    case DATA_CHANNEL_SLOW:
    case DATA_CHANNEL_READY:
        if (remote)
            set_slow(hub, remote, message->kind == DATA_CHANNEL_SLOW);
        break;
    case DATA_PARCEL:
        data_hub_deliver(hub, now_us, message->parcel);
        break;
    case DATA_TWIN_REFUSED:
        data_twin_refused(hub, message->name);
        break;
    }
    data_message_discard(message);
    data_settle(hub, now_us);
}

void data_message_discard(const struct data_message *message)
{
    blob_unref(message->name);
    data_parcel_unref(message->parcel);
}
