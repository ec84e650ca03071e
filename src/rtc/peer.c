#include "rtc/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "rtc/data_int.h"
#include "rtc/peer_int.h"

#define TWCC_INTERVAL_US (50 * TIME_US_PER_MS)
#define TWCC_PACKETS_MAX 200
/** SSRCs that only report: Firefox has one for each section in which it receives. */
#define RTC_REPORTERS_MAX RTC_SECTIONS_MAX
/** Media starts to flow without a call to the peer; its reports are looked at this often. */
#define WAKE_US (250 * TIME_US_PER_MS)
/** Silence of the path in use with which media over another one means that the client has moved. */
#define MOVED_US (40 * TIME_US_PER_MS)

#define RARE_EVENTS 8

struct rtc_event *peer_event_add(struct rtc_peer *peer, enum rtc_event_kind kind)
{
    struct rtc_thread *thread = peer->thread;
    // feedback, of which one datagram can bring more than is of use, leaves room for what is rare
    bool feedback = kind != RTC_EVENT_CONNECTED && kind != RTC_EVENT_DISCONNECTED &&
                    kind != RTC_EVENT_RECONNECTED && kind != RTC_EVENT_FAILED &&
                    kind != RTC_EVENT_CLOSED;
    if (thread->event_count == (feedback ? RTC_EVENTS_MAX - RARE_EVENTS : RTC_EVENTS_MAX)) {
        peer_count(peer, RTC_METRIC_DROPPED_EVENT, 1);
        return NULL;
    }
    uint32_t place = (thread->event_at + thread->event_count++) % RTC_EVENTS_MAX;
    thread->events[place] = (struct rtc_event){ .kind = kind };
    return &thread->events[place];
}

bool rtc_peer_event(struct rtc_peer *peer, struct rtc_event *ret_event)
{
    struct rtc_thread *thread = peer->thread;
    if (thread->event_count == 0)
        return false;
    *ret_event = thread->events[thread->event_at];
    thread->event_at = (thread->event_at + 1) % RTC_EVENTS_MAX;
    thread->event_count--;
    return true;
}

static void fail(struct rtc_peer *peer, const char *reason)
{
    if (peer->state == RTC_PEER_FAILED || peer->state == RTC_PEER_CLOSED)
        return;
    peer->state = RTC_PEER_FAILED;
    struct rtc_event *event = peer_event_add(peer, RTC_EVENT_FAILED);
    if (event)
        event->reason = reason;
}

static struct ice_credentials local_credentials(const struct rtc_negotiated *negotiated)
{
    return (struct ice_credentials){ bytes_of_text(negotiated->local_ufrag),
                                     bytes_of_text(negotiated->local_pwd) };
}

static struct ice_credentials remote_credentials(const struct rtc_negotiated *negotiated)
{
    return (struct ice_credentials){ bytes_of_text(negotiated->remote_ufrag),
                                     bytes_of_text(negotiated->remote_pwd) };
}

static int start_ice(struct rtc_peer *peer, uint64_t now_us)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    struct ice_credentials local = local_credentials(negotiated);
    struct ice_credentials remote = remote_credentials(negotiated);
    peer->ice_generation = negotiated->ice_generation;
    if (!peer->client) {
        struct ice_lite_config config = { .local = local,
                                          .remote = remote,
                                          .random = peer->thread->random,
                                          .metrics = &peer->thread->counters.ice };
        return ice_lite_init(&peer->ice, &config);
    }
    struct ice_agent_config config = { .local = local,
                                       .controlling = true,
                                       .random = peer->thread->random,
                                       .metrics = &peer->thread->counters.ice };
    int error = ice_agent_new(&config, &peer->agent);
    if (error)
        return error;
    return ice_agent_set_remote(peer->agent, now_us, &remote, negotiated->remote_ice_lite);
}

/** Whether there is anything besides data channels, which need no keys of SRTP. */
static bool has_media(const struct rtc_negotiated *negotiated)
{
    for (size_t i = 0; i < negotiated->section_count; i++) {
        enum rtc_kind kind = negotiated->sections[i].kind;
        if (kind == RTC_KIND_AUDIO || kind == RTC_KIND_VIDEO)
            return true;
    }
    return false;
}

static int start_dtls(struct rtc_peer *peer, uint64_t now_us)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    struct dtls_fingerprint fingerprints[RTC_FINGERPRINTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < negotiated->fingerprint_count; i++) {
        const struct rtc_fingerprint *promised = &negotiated->fingerprints[i];
        if (dtls_fingerprint_of(bytes_of_text(promised->hash),
                                bytes_of(promised->value, promised->value_size),
                                &fingerprints[count]) == 0)
            count++;
    }
    if (count == 0)
        return -EINVAL;
    struct dtls_config config = {
        .context = peer->thread->dtls,
        .client = negotiated->starts_dtls,
        .fingerprints = fingerprints,
        .fingerprint_count = count,
        .srtp_required = has_media(negotiated),
        .provider = peer->thread->ciphers,
        .metrics = peer->thread->counters.dtls,
    };
    peer->dtls = dtls_new(&config, now_us);
    return 0;
}

/** What follows from the sections: streams, senders, what our reports say, data channels. */
static void sync_sections(struct rtc_peer *peer)
{
    peer_sync_streams(peer);
    peer_sync_senders(peer);
    peer_data_sync(peer);
}

int rtc_peer_new(struct rtc_thread *thread, bool client, struct rtc_params *params, uint64_t now_us,
                 struct rtc_peer **ret_peer)
{
    struct rtc_peer *peer = memory_new(struct rtc_peer);
    peer->thread = thread;
    peer->client = client;
    peer->params = rtc_params_ref(params);
    peer->rtcp_ssrc = random_u32(thread->random);
    struct twcc_receiver_config twcc = { .interval_us = TWCC_INTERVAL_US,
                                         .packets_max = TWCC_PACKETS_MAX };
    twcc_receiver_init(&peer->twcc, &twcc);
    int error = start_ice(peer, now_us);
    // waits for the ClientHello; who says it has to have a path before, and so have clients
    if (!error && !client && !peer_negotiated(peer)->starts_dtls)
        error = start_dtls(peer, now_us);
    if (error) {
        rtc_peer_free(peer);
        return error;
    }
    sync_sections(peer);
    *ret_peer = peer;
    return 0;
}

struct rtc_peer *rtc_peer_free(struct rtc_peer *peer)
{
    if (!peer)
        return NULL;
    peer_drop_streams(peer);
    peer_drop_senders(peer);
    peer_data_free(peer);
    twcc_receiver_done(&peer->twcc);
    if (peer->bwe)
        bwe_done(peer->bwe);
    free(peer->bwe);
    secure_rtp_session_free(peer->receiving);
    secure_rtp_session_free(peer->sending);
    dtls_free(peer->dtls);
    ice_lite_done(&peer->ice);
    ice_agent_free(peer->agent);
    rtc_params_unref(peer->params);
    free(peer);
    return NULL;
}

static void restart_ice(struct rtc_peer *peer, uint64_t now_us)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    if (negotiated->ice_generation == peer->ice_generation)
        return;
    peer->ice_generation = negotiated->ice_generation;
    struct ice_credentials local = local_credentials(negotiated);
    struct ice_credentials remote = remote_credentials(negotiated);
    int error;
    if (peer->client) {
        error = ice_agent_restart(peer->agent, &local);
        if (!error)
            error = ice_agent_set_remote(peer->agent, now_us, &remote, negotiated->remote_ice_lite);
    } else {
        error = ice_lite_restart(&peer->ice, &local, &remote);
    }
    if (error)
        fail(peer, "The ICE credentials of the restart are not valid.");
}

void rtc_peer_update(struct rtc_peer *peer, struct rtc_params *params, uint64_t now_us)
{
    struct rtc_params *old = peer->params;
    peer->params = rtc_params_ref(params);
    restart_ice(peer, now_us);
    sync_sections(peer);
    rtc_params_unref(old);
}

const struct rtc_negotiated *rtc_peer_negotiated(const struct rtc_peer *peer)
{
    return peer_negotiated(peer);
}

static void renew_path(struct rtc_peer *peer, uint64_t now_us)
{
    struct net_path before = peer->path;
    peer->has_path = peer->client ? ice_agent_path(peer->agent, &peer->path)
                                  : ice_lite_path(&peer->ice, &peer->path);
    if (peer->has_path && !net_path_equal(&peer->path, &before))
        peer->heard_us = now_us; // what is late on the old path does not ask for it back
    // another port may be the same network behind the same NAT, another address is another network
    if (peer->has_path && !net_address_same_ip(&peer->path.remote, &before.remote))
        peer_bandwidth_path_changed(peer, now_us);
}

static void take_ice_event(struct rtc_peer *peer, const struct ice_event *event)
{
    switch (event->kind) {
    case ICE_EVENT_CONSENT_EXPIRED:
        peer->silenced = true;
        peer_event_add(peer, RTC_EVENT_DISCONNECTED);
        break;
    case ICE_EVENT_SELECTED:
    case ICE_EVENT_RECONNECTED:
        if (peer->silenced)
            peer_event_add(peer, RTC_EVENT_RECONNECTED);
        peer->silenced = false;
        break;
    case ICE_EVENT_FAILED:
        fail(peer, "No network path to the other side was found.");
        break;
    case ICE_EVENT_DISCONNECTED:
    case ICE_EVENT_RESTARTED:
        break;
    }
}

static void take_ice_events(struct rtc_peer *peer, uint64_t now_us)
{
    struct ice_event event;
    while (peer->client ? ice_agent_event(peer->agent, &event) : ice_lite_event(&peer->ice, &event))
        take_ice_event(peer, &event);
    renew_path(peer, now_us);
    if (peer->has_path && peer->state == RTC_PEER_CHECKING)
        peer->state = RTC_PEER_SECURING;
    if (peer->has_path && !peer->dtls && start_dtls(peer, now_us) < 0)
        fail(peer, "The other side promised no certificate that we can check.");
}

static struct secure_rtp_session *make_session(struct rtc_peer *peer,
                                               const struct dtls_srtp_keys *keys, bool local)
{
    struct secure_rtp_config config = {
        .profile = keys->profile,
        .master_key = bytes_of(local ? keys->local_key : keys->remote_key, keys->key_size),
        .master_salt = bytes_of(local ? keys->local_salt : keys->remote_salt, keys->salt_size),
        .provider = peer->thread->ciphers,
        .stream_limit = RTC_STREAMS_MAX + RTC_ENDED_MAX + RTC_REPORTERS_MAX,
        .metrics = peer->thread->counters.secure_rtp,
    };
    struct secure_rtp_session *session = NULL;
    return secure_rtp_session_new(&config, &session) == 0 ? session : NULL;
}

/** Something came that is authentic by the keys of the handshake. */
static void note_keys(struct rtc_peer *peer)
{
    if (peer->keys_shown || peer->state != RTC_PEER_CONNECTED)
        return;
    peer->keys_shown = true;
    peer_event_add(peer, RTC_EVENT_KEYS_SHOWN);
}

static void connected(struct rtc_peer *peer, uint64_t now_us, const struct dtls_srtp_keys *keys)
{
    if (keys->profile != 0) { // data channels alone may do without
        peer->receiving = make_session(peer, keys, false);
        peer->sending = make_session(peer, keys, true);
        if (!peer->receiving || !peer->sending) {
            fail(peer, "The media encryption that was agreed on is not supported.");
            return;
        }
    }
    peer->state = RTC_PEER_CONNECTED;
    // the last flight was the server's, and came with its Finished
    peer->keys_shown = peer_negotiated(peer)->starts_dtls;
    peer->report_us = now_us;
    peer_count(peer, RTC_METRIC_CONNECTED, 1);
    peer_event_add(peer, RTC_EVENT_CONNECTED);
    peer_data_start(peer);
}

static void take_dtls_events(struct rtc_peer *peer, uint64_t now_us)
{
    struct dtls_event event;
    while (peer->dtls && dtls_event(peer->dtls, &event)) {
        if (event.kind == DTLS_CONNECTED) {
            connected(peer, now_us, &event.keys);
        } else if (event.kind == DTLS_FAILED) {
            fail(peer, event.reason);
        } else if (peer->state != RTC_PEER_CLOSED) {
            peer->state = RTC_PEER_CLOSED;
            peer_event_add(peer, RTC_EVENT_CLOSED);
        }
        memory_wipe(&event, sizeof(event));
    }
}

/** Whether ICE has seen the other side prove itself over this path. */
static bool knows_path(const struct rtc_peer *peer, const struct net_path *path)
{
    if (peer->has_path && net_path_equal(path, &peer->path))
        return true;
    return peer->client ? ice_agent_knows(peer->agent, path) : ice_lite_knows(&peer->ice, path);
}

static int input_stun(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path,
                      struct bytes datagram)
{
    int error = peer->client ? ice_agent_input(peer->agent, now_us, path, datagram)
                             : ice_lite_input(&peer->ice, now_us, path, datagram);
    take_ice_events(peer, now_us);
    return error;
}

static int input_dtls(struct rtc_peer *peer, uint64_t now_us, struct bytes datagram)
{
    if (!peer->dtls)
        return -ENOTCONN;
    int error = dtls_input(peer->dtls, now_us, datagram);
    take_dtls_events(peer, now_us);
    if (peer_data_input(peer, now_us))
        note_keys(peer);
    return error;
}

/** Media that was authentic came over `path`: the other side may have moved there. */
static void note_used(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path)
{
    if (peer->client)
        return;
    if (peer->has_path && net_path_equal(path, &peer->path)) {
        peer->heard_us = now_us;
        ice_lite_heard(&peer->ice, now_us);
        return;
    }
    ice_lite_used(&peer->ice, now_us, path);
    // browsers send first and nominate with their next check, seconds later; what is only late
    // comes while the path in use is
    if (now_us - peer->heard_us > MOVED_US)
        ice_lite_appeared(&peer->ice, now_us, path);
    take_ice_events(peer, now_us);
}

/**
 * Whether a datagram may be looked at. Media is authentic by itself, wherever it comes from; that
 * our own goes there needs a check's proof. So a server's peer that a NAT has moved is heard on.
 */
static bool may_come_from(const struct rtc_peer *peer, const struct net_path *path, uint8_t first)
{
    bool media = first >= 128 && first <= 191;
    return knows_path(peer, path) || (media && !peer->client && peer->has_path && peer->receiving);
}

int rtc_peer_input(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path,
                   struct bytes datagram, struct rtc_media *media)
{
    if (datagram.size < 2 || peer->state == RTC_PEER_FAILED)
        return -EINVAL;
    // RFC 7983 and RFC 9443
    uint8_t first = datagram.data[0];
    if (first <= 3)
        return input_stun(peer, now_us, path, datagram);
    if (!may_come_from(peer, path, first)) {
        peer_count(peer, RTC_METRIC_DROPPED_PATH, 1);
        return -EACCES;
    }
    if (first >= 128 && first <= 191) {
        int error = rtp_is_rtcp(datagram.data) ? peer_receive_rtcp(peer, now_us, datagram)
                                               : peer_receive_rtp(peer, now_us, datagram, media);
        if (error == 0) {
            note_used(peer, now_us, path);
            note_keys(peer);
        }
        return error;
    }
    if (first >= 20 && first <= 63)
        return input_dtls(peer, now_us, datagram);
    peer_count(peer, RTC_METRIC_DROPPED_UNKNOWN_BYTE, 1);
    return -EPROTONOSUPPORT;
}

int rtc_peer_add_local(struct rtc_peer *peer, const struct net_address *address)
{
    ensure(peer->client);
    return ice_agent_add_local(peer->agent, address);
}

int rtc_peer_add_remote(struct rtc_peer *peer, uint64_t now_us,
                        const struct ice_candidate *candidate)
{
    ensure(peer->client);
    return ice_agent_add_remote(peer->agent, now_us, candidate);
}

/** Losses that could not be mended make the picture useless until a key frame. */
static void take_given_up(struct rtc_peer *peer)
{
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        struct rtc_stream *stream = &peer->streams[i];
        if (stream->repair || !rtp_nack_generator_key_frame_wanted(&stream->nack))
            continue;
        struct rtc_event *event = peer_event_add(peer, RTC_EVENT_KEY_FRAME_NEEDED);
        if (!event)
            return;
        event->section = stream->section;
        event->layer = stream->layer;
    }
}

void rtc_peer_path_lost(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path)
{
    if (peer->client)
        return;
    ice_lite_path_lost(&peer->ice, now_us, path);
    take_ice_events(peer, now_us);
}

void rtc_peer_tick(struct rtc_peer *peer, uint64_t now_us)
{
    if (peer->client)
        ice_agent_tick(peer->agent, now_us);
    else
        ice_lite_tick(&peer->ice, now_us);
    take_ice_events(peer, now_us);
    if (peer->dtls) {
        dtls_tick(peer->dtls, now_us);
        take_dtls_events(peer, now_us);
    }
    peer_data_tick(peer, now_us);
    uint32_t round_trip_us = rtc_peer_rtt_us(peer);
    for (uint32_t i = 0; round_trip_us > 0 && i < peer->stream_count; i++)
        rtp_nack_generator_round_trip(&peer->streams[i].nack, round_trip_us);
    take_given_up(peer);
    peer_bandwidth_tick(peer, now_us);
    peer->wake_us = now_us + WAKE_US;
}

uint64_t rtc_peer_deadline(const struct rtc_peer *peer)
{
    if (peer->state == RTC_PEER_FAILED)
        return TIME_NEVER;
    uint64_t deadline_us =
        peer->client ? ice_agent_deadline(peer->agent) : ice_lite_deadline(&peer->ice);
    if (peer->dtls)
        deadline_us = time_earlier(deadline_us,
                                   peer->has_path && !peer->silenced && dtls_has_output(peer->dtls)
                                       ? 0
                                       : dtls_deadline(peer->dtls));
    if (peer->has_path && !peer->silenced)
        deadline_us = time_earlier(deadline_us, peer_data_deadline(peer));
    deadline_us = time_earlier(deadline_us, peer_bandwidth_deadline(peer));
    return time_earlier(deadline_us, peer_rtcp_deadline(peer));
}

void rtc_peer_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch)
{
    if (peer->client)
        ice_agent_output(peer->agent, now_us, batch);
    else
        ice_lite_output(&peer->ice, now_us, batch);
    if (!peer->has_path || peer->silenced)
        return;
    if (peer->dtls)
        dtls_output(peer->dtls, now_us, &peer->path, batch);
    if (peer->state == RTC_PEER_CONNECTED)
        peer_rtcp_output(peer, now_us, batch);
    peer_data_output(peer, now_us, batch);
}

void rtc_peer_close(struct rtc_peer *peer)
{
    peer_data_goodbye(peer);
    if (peer->dtls)
        dtls_close(peer->dtls);
}

struct rtc_sender *rtc_peer_sender(struct rtc_peer *peer, uint16_t section)
{
    const struct rtc_negotiated *negotiated = peer_negotiated(peer);
    if (section >= negotiated->section_count ||
        !rtc_section_is_slot(&negotiated->sections[section]))
        return NULL;
    return peer->senders[section];
}

void rtc_peer_request_key_frame(struct rtc_peer *peer, uint16_t section, uint8_t layer)
{
    for (uint32_t i = 0; i < peer->stream_count; i++) {
        struct rtc_stream *stream = &peer->streams[i];
        if (!stream->repair && stream->section == section && stream->layer == layer)
            stream->key_frame_wanted = true;
    }
}

bool rtc_peer_connected(const struct rtc_peer *peer)
{
    return peer->state == RTC_PEER_CONNECTED;
}

bool rtc_peer_path(const struct rtc_peer *peer, struct net_path *ret_path)
{
    if (!peer->has_path)
        return false;
    *ret_path = peer->path;
    return true;
}

void rtc_peer_ufrags(const struct rtc_peer *peer, struct bytes *ret_current, struct bytes *ret_next)
{
    ensure(!peer->client);
    ice_lite_ufrags(&peer->ice, ret_current, ret_next);
}

uint32_t rtc_peer_rtt_us(const struct rtc_peer *peer)
{
    return peer->client ? ice_agent_rtt_us(peer->agent) : ice_lite_rtt_us(&peer->ice);
}
