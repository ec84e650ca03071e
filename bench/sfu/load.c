#include "load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/clock.h"

#define AUDIO_PAYLOAD    160
#define SPEAKERS         3 /**< who are loud in a meeting */
#define LOUD             20
#define SILENT           90
#define LATENCIES_MAX    (1u << 20)
#define JOIN_WAIT_MS     10000
#define TICK_SLICES      4
#define NO_PARTICIPANT   UINT32_MAX
#define EVENTS_AT_A_TIME 256

/** One turn: sockets, and a slice of the timers and of the signaling connections. */
static void turn(struct load *load, int wait_ms)
{
    struct epoll_event events[EVENTS_AT_A_TIME];
    int count = epoll_wait(load->epoll_fd, events, EVENTS_AT_A_TIME, wait_ms);
    for (int i = 0; i < count; i++)
        media_client_receive(events[i].data.ptr);
    if (load->count == 0)
        return;
    // one may be joining, and those who publish keep time
    media_client_tick(load->clients[load->joining]);
    for (uint32_t i = 0; i < load->count; i++) {
        if (load->clients[i]->feed_count > 0)
            media_client_tick(load->clients[i]);
    }
    for (uint32_t i = 0; i < 1 + load->count / TICK_SLICES; i++) {
        load->tick_at = (load->tick_at + 1) % load->count;
        media_client_tick(load->clients[load->tick_at]);
    }
    for (uint32_t i = 0; i < 1 + load->count / 256; i++) {
        load->keep_at = (load->keep_at + 1) % load->count;
        if (load->signals[load->keep_at])
            load->options.kind->keep(load->signals[load->keep_at]);
    }
}

/** Until the next feed's frame, at most 1 ms. */
static int wait_ms(const struct load *load)
{
    uint64_t now_us = clock_now_us();
    for (uint32_t i = 0; i < load->count; i++) {
        const struct media_client *client = load->clients[i];
        for (uint32_t j = 0; j < client->feed_count; j++) {
            if (client->feeds[j].next_us != 0 && client->feeds[j].next_us < now_us + 1000)
                return 0;
        }
    }
    return 1;
}

void load_run(struct load *load, int fd, uint64_t duration_us)
{
    uint64_t end_us = clock_now_us() + duration_us;
    while (clock_now_us() < end_us) {
        struct pollfd poller = { .fd = fd, .events = POLLIN };
        if (fd >= 0 && poll(&poller, 1, 0) != 0)
            return;
        turn(load, wait_ms(load));
    }
}

/** While a client waits for its signaling: whichever comes first is handled. */
static void wait_for_signaling(void *owner, int fd)
{
    struct load *load = owner;
    struct pollfd pollers[] = { { .fd = fd, .events = POLLIN },
                                { .fd = load->epoll_fd, .events = POLLIN } };
    poll(pollers, array_size(pollers), wait_ms(load));
    if (fd < 0 || !(pollers[0].revents & (POLLIN | POLLHUP | POLLERR)))
        turn(load, 0);
}

void load_init(struct load *load, const struct load_options *options, struct random *random)
{
    *load = (struct load){ .options = *options };
    load->capacity = options->publishers + options->subscribers + 2 * options->participants;
    load->clients = memory_new_array(struct media_client *, load->capacity);
    load->signals = memory_new_array(struct signaling *, load->capacity);
    media_shared_init(&load->shared, random, &options->address, LATENCIES_MAX);
    load->shared.decrypts = options->decrypts;
    load->shared.stamps = options->stamps;
    load->shared.data = options->data;
    load->shared.live = options->live;
    load->signaling.server = options->server;
    load->signaling.rtp_port = options->rtp_port;
    load->signaling.random = random;
    load->signaling.wait = wait_for_signaling;
    load->signaling.owner = load;
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

void load_done(struct load *load)
{
    for (uint32_t i = 0; i < load->count; i++) {
        if (load->signals[i])
            load->options.kind->close(load->signals[i]);
        media_client_free(load->clients[i]);
    }
    media_shared_done(&load->shared);
    free(load->clients);
    free(load->signals);
    close(load->epoll_fd);
}

static void add_feeds(const struct load *load, struct media_client *client, uint32_t participant)
{
    const struct load_options *options = &load->options;
    if (options->audio)
        media_client_sends_audio(client, AUDIO_PAYLOAD, participant < SPEAKERS ? LOUD : SILENT);
    if (options->video)
        media_client_sends_video(client, options->burst, options->payload_size, options->simulcast);
}

/** Sections for everything that `others` publish. */
static void add_slots(const struct load *load, struct media_client *client, uint32_t others)
{
    for (uint32_t i = 0; i < others; i++) {
        if (load->options.audio)
            media_client_receives(client, RTC_KIND_AUDIO);
        if (load->options.video)
            media_client_receives(client, RTC_KIND_VIDEO);
    }
}

/**
 * Puts the client into a place, joins with what it sends and receives, and waits until it has keys.
 */
static bool join(struct load *load, uint32_t index, struct media_client *client,
                 uint32_t participant)
{
    load->clients[index] = client;
    load->joining = index;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
    client->started_us = clock_unix_us();
    load->signals[index] = load->options.kind->open(&load->signaling, client, participant);
    if (!load->signals[index])
        return false;
    uint64_t end_us = clock_now_us() + time_from_ms(JOIN_WAIT_MS);
    bool waits_for_media = load->options.live && client->feed_count == 0;
    while (clock_now_us() < end_us &&
           (client->connected_us == 0 || (waits_for_media && client->first_picture_us == 0)))
        turn(load, wait_ms(load));
    if (client->connected_us == 0)
        fprintf(stderr, "load: client %u did not connect\n", index);
    return client->connected_us != 0;
}

/** One that publishes, in a place of the load. */
static bool put_publisher(struct load *load, uint32_t index, uint32_t participant)
{
    struct media_client *client = media_client_new(&load->shared);
    if (!client)
        return false;
    add_feeds(load, client, participant);
    if (load->options.participants > 0 && !load->options.kind->one_way)
        add_slots(load, client, load->options.participants - 1);
    return join(load, index, client, participant);
}

/** One that receives what `others` publish. */
static bool put_subscriber(struct load *load, uint32_t index, uint32_t participant, uint32_t others)
{
    struct media_client *client = media_client_new(&load->shared);
    if (!client)
        return false;
    if (!load->options.kind->one_way)
        add_slots(load, client, others);
    if (load->options.data)
        media_client_receives(client, RTC_KIND_DATA);
    return join(load, index, client, participant);
}

static bool add_publisher(struct load *load, uint32_t participant)
{
    return put_publisher(load, load->count++, participant);
}

static bool add_subscriber(struct load *load, uint32_t participant, uint32_t others)
{
    const struct load_options *options = &load->options;
    bool counted = options->counted == 0 || load->count - load->first_subscriber < options->counted;
    load->shared.address = counted ? options->address : options->sink;
    return put_subscriber(load, load->count++, participant, others);
}

static bool join_meeting(struct load *load)
{
    const struct load_options *options = &load->options;
    for (uint32_t i = 0; i < options->participants; i++) {
        if (!add_publisher(load, i))
            return false;
    }
    for (uint32_t i = 0; options->kind->one_way && i < options->participants; i++) {
        if (!add_subscriber(load, i, options->participants - 1))
            return false;
    }
    // everybody knows of everybody
    load_run(load, -1, time_from_ms(300));
    for (uint32_t i = 0; i < load->count; i++) {
        bool receives = !options->kind->one_way || load->clients[i]->feed_count == 0;
        if (options->simulcast && receives &&
            !options->kind->prefer(load->signals[i], options->large))
            return false;
    }
    return true;
}

bool load_join(struct load *load)
{
    const struct load_options *options = &load->options;
    for (uint32_t i = 0; i < options->publishers; i++) {
        if (!add_publisher(load, i))
            return false;
    }
    if (options->live) {
        load_feed(load, UINT32_MAX);
        load_run(load, -1, time_from_ms(200));
    }
    load->first_subscriber = load->count;
    load->empty = server_usage_read(options->pid, options->core);
    for (uint32_t i = 0; i < options->subscribers; i++) {
        if (!add_subscriber(load, NO_PARTICIPANT, options->publishers))
            return false;
    }
    if (options->participants > 0 && !join_meeting(load))
        return false;
    load_run(load, -1, time_from_ms(100));
    load->full = server_usage_read(options->pid, options->core);
    return true;
}

void load_feed(struct load *load, uint32_t publishers)
{
    uint64_t now_us = clock_now_us();
    uint32_t feeds = 0, at = 0;
    for (uint32_t i = 0; i < load->count; i++)
        feeds += load->clients[i]->feed_count;
    for (uint32_t i = 0; i < load->count; i++) {
        struct media_client *client = load->clients[i];
        for (uint32_t j = 0; j < client->feed_count; j++, at++) {
            struct media_feed *feed = &client->feeds[j];
            // spread over the interval, as those of people are
            feed->next_us = i < publishers ? now_us + (uint64_t)feed->interval_us * at / feeds : 0;
        }
    }
}

static void leave(struct load *load, uint32_t index, bool abrupt)
{
    if (!abrupt && load->options.kind->leave)
        load->options.kind->leave(load->signals[index]);
    load->options.kind->close(load->signals[index]);
    load->signals[index] = NULL;
    media_client_free(load->clients[index]);
    load->clients[index] = NULL;
}

bool load_churn(struct load *load, uint64_t duration_us, bool abrupt)
{
    uint64_t end_us = clock_now_us() + duration_us;
    load_feed(load, UINT32_MAX);
    for (uint64_t i = 0; clock_now_us() < end_us; i++) {
        uint32_t index = (uint32_t)(i % load->count);
        bool publishes = load->clients[index]->feed_count > 0;
        uint32_t participant = publishes ? index : NO_PARTICIPANT;
        leave(load, index, abrupt && i % 4 == 3);
        if (publishes ? !put_publisher(load, index, participant)
                      : !put_subscriber(load, index, participant, load->options.publishers))
            return false;
        if (publishes)
            load_feed(load, UINT32_MAX);
        load->returned++;
    }
    load_feed(load, 0);
    return true;
}
