// The receiver's side: what a channel does not take at once waits, within bounds.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "room/data_hub_int.h"

static void set_slow(struct data_hub *hub, struct data_peer *peer, bool slow)
{
    if (peer->slow == slow)
        return;
    peer->slow = slow;
    struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer)
    {
        data_channel_tell(hub, channel);
        if (!slow)
            data_label_changed(hub, channel->label);
    }
}

static void grow(struct data_hub *hub, uint64_t now_us, struct data_peer *peer, size_t size)
{
    if (peer->backlog_messages == 0) {
        peer->progress_us = now_us;
        list_append(&hub->backlogged, &peer->backlogged);
    }
    peer->backlog_messages++;
    peer->backlog_bytes += size;
    hub->backlog_bytes += size;
    metric_add(&hub->metrics[DATA_METRIC_BACKLOG], size);
    if (peer->backlog_bytes > DATA_SLOW_BYTES)
        set_slow(hub, peer, true);
}

static void shrink(struct data_hub *hub, struct data_peer *peer, size_t size)
{
    peer->backlog_messages--;
    peer->backlog_bytes -= size;
    hub->backlog_bytes -= size;
    metric_subtract(&hub->metrics[DATA_METRIC_BACKLOG], size);
    if (peer->backlog_messages == 0)
        list_remove(&peer->backlogged);
    if (peer->backlog_bytes <= DATA_READY_BYTES)
        set_slow(hub, peer, false);
}

static void drop_first(struct data_hub *hub, struct data_channel *channel)
{
    struct data_queued *queued = container_of(channel->backlog.next, struct data_queued, node);
    list_remove(&queued->node);
    shrink(hub, channel->peer, blob_bytes(queued->message).size);
    blob_unref(queued->message);
    free(queued);
}

void data_channel_drop_backlog(struct data_hub *hub, struct data_channel *channel)
{
    while (!list_empty(&channel->backlog))
        drop_first(hub, channel);
}

static void doom_backlogged(struct data_hub *hub, struct data_peer *peer, enum data_metric why)
{
    struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer)
    {
        if (!list_empty(&channel->backlog))
            data_channel_doom(hub, channel, why);
    }
}

/** All that waits together is too much: it is the fault of whoever is furthest behind. */
static void doom_furthest_behind(struct data_hub *hub)
{
    struct data_peer *peer, *furthest = NULL;
    list_each(peer, &hub->backlogged, backlogged)
    {
        if (!furthest || peer->backlog_bytes > furthest->backlog_bytes)
            furthest = peer;
    }
    if (furthest)
        doom_backlogged(hub, furthest, DATA_METRIC_CLOSED_SLOW);
}

static void enqueue(struct data_hub *hub, uint64_t now_us, struct data_channel *channel,
                    struct blob *message, bool text)
{
    struct data_peer *peer = channel->peer;
    size_t size = blob_bytes(message).size;
    if (peer->backlog_bytes + size > DATA_BACKLOG_MAX ||
        peer->backlog_messages == DATA_BACKLOG_MESSAGES_MAX) {
        data_channel_doom(hub, channel, DATA_METRIC_CLOSED_SLOW);
        return;
    }
    struct data_queued *queued = memory_new(struct data_queued);
    queued->message = blob_ref(message);
    queued->text = text;
    list_append(&channel->backlog, &queued->node);
    grow(hub, now_us, peer, size);
    if (hub->backlog_bytes > DATA_BACKLOG_ALL_MAX)
        doom_furthest_behind(hub);
}

/** Gives one message to the transport; false when it has no room now. */
static bool give(struct data_hub *hub, uint64_t now_us, const struct data_channel *channel,
                 struct blob *message, bool text)
{
    struct data_peer *peer = channel->peer;
    const struct data_hub_config *config = &hub->config;
    int result =
        config->ops->send(config->owner, now_us, peer->session, channel->stream, message, text);
    if (result == -EAGAIN)
        return false;
    if (result == -EMSGSIZE)
        data_count(hub, DATA_METRIC_DROPPED_SIZE, 1);
    if (result < 0) // or the channel is going, which we hear of next
        return true;
    size_t size = blob_bytes(message).size;
    peer->stats.messages_out++;
    peer->stats.bytes_out += size;
    data_count(hub, DATA_METRIC_MESSAGES_OUT, 1);
    data_count(hub, DATA_METRIC_BYTES_OUT, size);
    config->ops->wake(config->owner, peer->session);
    return true;
}

void data_channel_send(struct data_hub *hub, uint64_t now_us, struct data_channel *channel,
                       struct blob *message, bool text, bool droppable)
{
    if (data_channel_is_doomed(channel))
        return;
    if (list_empty(&channel->backlog) && give(hub, now_us, channel, message, text))
        return;
    if (droppable || !channel->reliable) {
        channel->peer->stats.dropped++;
        data_count(hub, DATA_METRIC_DROPPED_BUSY, 1);
        return;
    }
    enqueue(hub, now_us, channel, message, text);
}

/** The next channel of which something waits. */
static struct data_channel *next_backlogged(const struct data_peer *peer)
{
    struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer)
    {
        if (!list_empty(&channel->backlog) && !data_channel_is_doomed(channel))
            return channel;
    }
    return NULL;
}

void data_peer_flush(struct data_hub *hub, uint64_t now_us, struct data_peer *peer)
{
    struct data_channel *channel;
    while ((channel = next_backlogged(peer))) {
        const struct data_queued *first =
            container_of(channel->backlog.next, struct data_queued, node);
        if (!give(hub, now_us, channel, first->message, first->text))
            return;
        peer->progress_us = now_us;
        drop_first(hub, channel);
        if (channel->ending && list_empty(&channel->backlog))
            data_channel_doom(hub, channel, DATA_METRIC_CLOSED_TWIN);
        // the others get their turn
        list_remove(&channel->by_peer);
        list_append(&peer->channels, &channel->by_peer);
    }
}

void data_hub_serve(struct data_hub *hub, uint64_t now_us, struct data_peer *peer)
{
    if (peer->backlog_messages == 0)
        return;
    data_peer_flush(hub, now_us, peer);
    data_settle(hub, now_us);
}

void data_find_stalled(struct data_hub *hub, uint64_t now_us)
{
    struct data_peer *peer;
    list_each(peer, &hub->backlogged, backlogged)
    {
        if (now_us - peer->progress_us >= DATA_STALL_US)
            doom_backlogged(hub, peer, DATA_METRIC_CLOSED_STALLED);
    }
}
