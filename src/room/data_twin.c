// Channels of calls: the twin that one gets on the other side, and their common end.
#include <errno.h>

#include "room/data_hub_int.h"

/** Streams of twins: clients count those that they negotiate themselves from 0. */
#define TWIN_STREAM_FIRST 100

/** Of a label of calls: how many channels it has, 2 at most, and the one that is here, if any. */
static int count_channels(const struct data_label *label, struct data_channel **ret_here)
{
    int count = 0;
    struct data_channel *channel;
    list_each(channel, &label->locals, by_label)
    {
        *ret_here = channel;
        count++;
    }
    const struct data_remote *remote;
    list_each(remote, &label->remotes, by_label)
    {
        count++;
    }
    return count;
}

static void settle_as(struct data_label *label, enum data_twin twin)
{
    label->twin = twin;
    list_remove(&label->twinless);
}

/**
 * The channel of the opener, if it is here, ends. A negotiated one stays, alone: its client
 * has opened nothing that could be refused.
 */
static void end_opener(struct data_hub *hub, struct data_label *label)
{
    struct data_channel *channel;
    list_each(channel, &label->locals, by_label)
    {
        if (!channel->negotiated)
            data_channel_doom(hub, channel, DATA_METRIC_CLOSED_REFUSED);
    }
}

/** The opener hears that there will be no twin, or that there is none any more. */
static void refuse(struct data_hub *hub, struct data_label *label)
{
    end_opener(hub, label);
    label->twin = DATA_TWIN_UNSAID;
    const struct data_remote *remote;
    list_each(remote, &label->remotes, by_label)
    {
        struct data_message message = { .kind = DATA_TWIN_REFUSED,
                                        .worker = hub->config.worker,
                                        .name = blob_ref(label->name) };
        if (!hub->config.ops->to_worker(hub->config.owner, remote->worker, &message)) {
            blob_unref(message.name);
            if (list_empty(&label->twinless))
                list_append(&hub->twinless, &label->twinless);
            return; // again with the tick
        }
    }
    settle_as(label, DATA_TWIN_NONE);
}

/** The side, if it is here and has no channel of the label. */
static struct data_peer *find_without(const struct data_hub *hub, const struct data_label *label,
                                      handle side)
{
    const struct data_channel *channel;
    list_each(channel, &label->locals, by_label)
    {
        if (channel->peer->session == side)
            return NULL;
    }
    return data_peer_find(hub, side);
}

/** Opens the twin, if the other side is here and takes it. */
static void open_twin(struct data_hub *hub, uint64_t now_us, struct data_label *label)
{
    const struct data_hub_config *config = &hub->config;
    handle sides[2];
    struct rtc_data_channel channel;
    ensure(data_call_name_read(label->name, sides, &channel));
    struct data_peer *peer = find_without(hub, label, sides[1]);
    if (!peer && channel.negotiated)
        peer = find_without(hub, label, sides[0]);
    if (!peer)
        return;
    if (!channel.negotiated)
        channel.stream = TWIN_STREAM_FIRST;
    uint16_t stream;
    int result = config->ops->open(config->owner, now_us, peer->session, &channel, &stream);
    if (result == -ENOTCONN || result == -EAGAIN)
        return;
    if (result < 0) {
        refuse(hub, label);
        return;
    }
    data_channel_add(hub, peer, stream, label, &channel);
    settle_as(label, DATA_TWIN_MADE);
    config->ops->wake(config->owner, peer->session);
}

void data_twin_settle(struct data_hub *hub, uint64_t now_us, struct data_label *label)
{
    struct data_channel *here = NULL;
    int count = label->twin == DATA_TWIN_NONE ? 0 : count_channels(label, &here);
    if (count == 2 && label->twin == DATA_TWIN_WANTED)
        settle_as(label, DATA_TWIN_MADE);
    else if (count == 1 && label->twin == DATA_TWIN_WANTED)
        open_twin(hub, now_us, label);
    else if (count == 1 && label->twin == DATA_TWIN_UNSAID)
        refuse(hub, label);
    else if (count == 1 && here && list_empty(&here->backlog)) // the twin was made, and has gone
        data_channel_doom(hub, here, DATA_METRIC_CLOSED_TWIN);
    else if (count == 1 && here)
        here->ending = true;
}

void data_twin_label(struct data_hub *hub, uint64_t now_us, struct data_label *label)
{
    handle sides[2];
    struct rtc_data_channel channel;
    if (!data_call_name_read(label->name, sides, &channel))
        return;
    data_label_changed(hub, label);
    if (label->twin != DATA_TWIN_NONE)
        return; // this is the twin
    label->twin = DATA_TWIN_WANTED;
    label->twin_deadline_us = now_us + DATA_TWIN_WAIT_US;
    list_append(&hub->twinless, &label->twinless);
}

void data_twin_refused(struct data_hub *hub, const struct blob *name)
{
    struct data_label *label = data_label_find(hub, name);
    if (!label)
        return;
    settle_as(label, DATA_TWIN_NONE);
    data_label_changed(hub, label); // what waits goes to nobody now
    end_opener(hub, label);
}

void data_twin_unknown(struct data_hub *hub, struct data_label *label)
{
    refuse(hub, label);
}

void data_twin_tick(struct data_hub *hub, uint64_t now_us)
{
    struct data_label *label;
    list_each(label, &hub->twinless, twinless)
    {
        data_label_changed(hub, label);
        // what waits here goes to nobody now
        if (label->twin_deadline_us <= now_us && label->twin == DATA_TWIN_WANTED)
            settle_as(label, DATA_TWIN_NONE);
    }
}
