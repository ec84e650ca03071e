#include "room/data_hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "room/data_hub_int.h"

const struct metric_description data_metric_descriptions[DATA_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(DATA_METRIC_##id, __VA_ARGS__)
#include "room/data_metrics.def"
#undef METRIC
};

struct data_hub *data_hub_new(const struct data_hub_config *config)
{
    ensure(config->worker < config->worker_count && config->worker_count <= TRACK_WORKERS_MAX);
    struct data_hub *hub = memory_new(struct data_hub);
    hub->config = *config;
    list_init(&hub->changed);
    list_init(&hub->untold);
    list_init(&hub->doomed);
    list_init(&hub->backlogged);
    list_init(&hub->waiting);
    list_init(&hub->twinless);
    return hub;
}

struct metric_set data_hub_metrics(const struct data_hub *hub, const char *labels)
{
    return (struct metric_set){ data_metric_descriptions, hub->metrics, DATA_METRIC_COUNT, labels };
}

/** ---- labels ---- */

struct data_label *data_label_find(const struct data_hub *hub, const struct blob *name)
{
    return map_find(&hub->labels, blob_bytes(name));
}

struct data_label *data_label_get(struct data_hub *hub, struct blob *name)
{
    struct data_label *label = data_label_find(hub, name);
    if (label)
        return label;
    label = memory_new(struct data_label);
    label->name = blob_ref(name);
    list_init(&label->changed);
    list_init(&label->locals);
    list_init(&label->remotes);
    list_init(&label->held);
    list_init(&label->twinless);
    map_set(&hub->labels, blob_bytes(name), label);
    return label;
}

void data_label_changed(struct data_hub *hub, struct data_label *label)
{
    if (list_empty(&label->changed))
        list_append(&hub->changed, &label->changed);
}

/** Those who waited look again; a label that nobody has any more ends. */
static void settle_label(struct data_hub *hub, uint64_t now_us, struct data_label *label)
{
    list_remove(&label->changed);
    data_twin_settle(hub, now_us, label);
    bool empty = list_empty(&label->locals) && list_empty(&label->remotes);
    if (empty)
        map_remove(&hub->labels, blob_bytes(label->name));
    struct data_peer *peer;
    // those that go on waiting are appended behind the ones that were here
    struct list *last = label->held.previous;
    for (bool more = !list_empty(&label->held); more;) {
        peer = container_of(label->held.next, struct data_peer, held_node);
        more = &peer->held_node != last;
        data_peer_retry(hub, now_us, peer);
    }
    if (!empty)
        return;
    list_remove(&label->changed);
    list_remove(&label->twinless);
    blob_unref(label->name);
    free(label);
}

/** ---- channels ---- */

struct data_channel *data_channel_find(const struct data_peer *peer, uint16_t stream)
{
    struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer)
    {
        if (channel->stream == stream)
            return channel;
    }
    return NULL;
}

/** One that is used once in the whole process. */
static uint64_t next_number(struct data_hub *hub)
{
    return (uint64_t)hub->config.worker << 48 | ++hub->last_number;
}

static bool has_label(const struct data_peer *peer, const struct data_label *label)
{
    const struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer)
    {
        if (channel->label == label)
            return true;
    }
    return false;
}

static void close_channel(struct data_hub *hub, struct data_channel *channel)
{
    data_channel_drop_backlog(hub, channel);
    data_label_changed(hub, channel->label);
    list_remove(&channel->by_peer);
    list_remove(&channel->by_label);
    list_remove(&channel->doomed);
    channel->peer->stats.channels--;
    channel->peer = NULL;
    channel->label = NULL;
    metric_subtract(&hub->metrics[DATA_METRIC_CHANNELS], 1);
    data_channel_tell(hub, channel);
}

void data_channel_doom(struct data_hub *hub, struct data_channel *channel, enum data_metric why)
{
    if (data_channel_is_doomed(channel))
        return;
    channel->doom = why;
    list_append(&hub->doomed, &channel->doomed);
}

static void close_doomed(struct data_hub *hub)
{
    struct data_channel *channel;
    list_each(channel, &hub->doomed, doomed)
    {
        const struct data_hub_config *config = &hub->config;
        handle session = channel->peer->session;
        uint16_t stream = channel->stream;
        data_count(hub, channel->doom, 1);
        close_channel(hub, channel);
        config->ops->close(config->owner, session, stream);
    }
}

void data_settle(struct data_hub *hub, uint64_t now_us)
{
    while (!list_empty(&hub->doomed) || !list_empty(&hub->changed)) {
        close_doomed(hub);
        if (!list_empty(&hub->changed))
            settle_label(hub, now_us, container_of(hub->changed.next, struct data_label, changed));
    }
}

struct data_channel *data_channel_add(struct data_hub *hub, struct data_peer *peer, uint16_t stream,
                                      struct data_label *label,
                                      const struct rtc_data_channel *channel)
{
    struct data_channel *made = memory_new(struct data_channel);
    made->number = next_number(hub);
    made->stream = stream;
    made->peer = peer;
    made->label = label;
    made->reliable = channel->reliability == RTC_DATA_RELIABLE;
    made->negotiated = channel->negotiated;
    made->envelope = peer->member.room != 0 && data_name_has_envelope(label->name);
    list_init(&made->untold);
    list_init(&made->doomed);
    list_init(&made->backlog);
    list_append(&peer->channels, &made->by_peer);
    list_append(&label->locals, &made->by_label);
    peer->stats.channels++;
    data_count(hub, DATA_METRIC_CHANNELS, 1);
    data_channel_tell(hub, made);
    return made;
}

/** Of all channels in a room that are called so, or of this one of a call alone. */
static struct data_label *label_for(struct data_hub *hub, const struct data_peer *peer,
                                    const struct rtc_data_channel *channel)
{
    struct blob *name =
        peer->member.call != 0
            ? data_call_name_new(next_number(hub), peer->session, peer->member.call, channel)
            : data_name_new(peer->member.room, channel->label, channel->protocol);
    struct data_label *label = name ? data_label_get(hub, name) : NULL;
    blob_unref(name);
    return label;
}

void data_hub_opened(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream,
                     const struct rtc_data_channel *channel)
{
    struct data_peer *peer = data_peer_find(hub, session);
    if (!peer || (peer->member.room == 0 && peer->member.call == 0))
        return;
    data_hub_closed(hub, now_us, session, stream);
    struct data_label *label = label_for(hub, peer, channel);
    if (!label)
        return;
    // one message would come to it twice, and a member could multiply what others send
    if (has_label(peer, label)) {
        data_count(hub, DATA_METRIC_CLOSED_DUPLICATE, 1);
        hub->config.ops->close(hub->config.owner, session, stream);
        return;
    }
    data_channel_add(hub, peer, stream, label, channel);
    data_twin_label(hub, now_us, label);
    data_settle(hub, now_us);
}

void data_hub_closed(struct data_hub *hub, uint64_t now_us, handle session, uint16_t stream)
{
    struct data_peer *peer = data_peer_find(hub, session);
    struct data_channel *channel = peer ? data_channel_find(peer, stream) : NULL;
    if (!channel)
        return;
    if (channel->negotiated && !channel->used)
        data_twin_unknown(hub, channel->label);
    close_channel(hub, channel);
    data_settle(hub, now_us);
}

/** ---- peers ---- */

struct data_peer *data_peer_find(const struct data_hub *hub, handle session)
{
    return map_find(&hub->peers, map_key_u64(&session));
}

struct data_peer *data_hub_peer_add(struct data_hub *hub, handle session,
                                    const struct data_member *member)
{
    struct data_peer *peer = memory_new(struct data_peer);
    peer->session = session;
    peer->member = *member;
    list_init(&peer->channels);
    list_init(&peer->backlogged);
    list_init(&peer->held_node);
    ensure(!map_set(&hub->peers, map_key_u64(&session), peer));
    return peer;
}

void data_hub_peer_remove(struct data_hub *hub, uint64_t now_us, handle session)
{
    struct data_peer *peer = map_remove(&hub->peers, map_key_u64(&session));
    if (!peer)
        return;
    data_peer_drop_held(peer);
    struct data_channel *channel;
    list_each(channel, &peer->channels, by_peer) close_channel(hub, channel);
    free(peer);
    data_settle(hub, now_us);
}

void data_hub_permit(struct data_hub *hub, handle session, bool may_send)
{
    struct data_peer *peer = data_peer_find(hub, session);
    if (peer)
        peer->member.may_send = may_send;
}

struct data_stats data_hub_stats(const struct data_hub *hub, handle session)
{
    const struct data_peer *peer = data_peer_find(hub, session);
    if (!peer)
        return (struct data_stats){ 0 };
    struct data_stats stats = peer->stats;
    stats.backlog_bytes = peer->backlog_bytes;
    stats.held = peer->held != NULL;
    return stats;
}

void data_hub_tick(struct data_hub *hub, uint64_t now_us)
{
    data_tell_again(hub);
    data_find_stalled(hub, now_us);
    data_twin_tick(hub, now_us);
    struct list *last = hub->waiting.previous;
    for (bool more = !list_empty(&hub->waiting); more;) {
        struct data_peer *peer = container_of(hub->waiting.next, struct data_peer, held_node);
        more = &peer->held_node != last;
        data_peer_retry(hub, now_us, peer);
    }
    data_settle(hub, now_us);
}

struct data_hub *data_hub_free(struct data_hub *hub)
{
    if (!hub)
        return NULL;
    ensure(hub->peers.count == 0);
    size_t cursor = 0;
    void *remote;
    while (map_next(&hub->remotes, &cursor, NULL, &remote))
        data_remote_free(hub, remote);
    data_settle(hub, 0);
    // the other workers are at their end, too
    hub->config.worker = 0;
    hub->config.worker_count = 1;
    data_tell_again(hub);
    map_done(&hub->peers);
    map_done(&hub->labels);
    map_done(&hub->remotes);
    free(hub);
    return NULL;
}
