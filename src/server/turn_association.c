// One TURN client over DTLS.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/stun/stun.h"
#include "server/turn_dtls_int.h"

#define RECORD_ALERT            21
#define RECORD_APPLICATION_DATA 23

static void end_if_asked(struct loop_timer *timer, uint64_t now_us);

static struct turn_association *association_of(struct turn_carrier *carrier)
{
    return container_of(carrier, struct turn_association, carrier);
}

// Towards the client.

/** What the engines of DTLS have to say: handshakes, alerts. */
static void output(struct turn_association *association, struct dtls *dtls)
{
    struct turn_dtls *set = association->set;
    if (!dtls || !dtls_has_output(dtls))
        return;
    udp_gather_flush(turn_worker_gather(set->turn)); // data before the goodbye that follows it
    set->batch.owner = association->socket;
    dtls_output(dtls, turn_dtls_now_us(set), &association->source.path, &set->batch);
    udp_socket_send(association->socket, &set->batch);
}

/** A record of header, payload and padding. */
static void send_record(struct turn_association *association, struct bytes header,
                        struct bytes payload, size_t padding)
{
    struct turn_dtls *set = association->set;
    size_t size = header.size + payload.size + padding;
    if (!association->connected || !dtls_connected(association->side.dtls)) {
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_CLOSED);
        return;
    }
    if (size > DTLS_RECORD_DATA_MAX) {
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_SIZE);
        return;
    }
    uint8_t *out = turn_dtls_reserve(set, size + DTLS_RECORD_OVERHEAD);
    struct writer writer = writer_of(out + DTLS_RECORD_PREFIX, size);
    writer_bytes(&writer, header.data, header.size);
    writer_bytes(&writer, payload.data, payload.size);
    writer_zeros(&writer, padding);
    if (dtls_seal(association->side.dtls, out, size) < 0) {
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_CLOSED);
        return;
    }
    udp_gather_add(turn_worker_gather(set->turn), association->socket, &association->source.path,
                   NULL, 0, bytes_of(out, size + DTLS_RECORD_OVERHEAD), 0, 0, &association->run);
}

/** Whether this answer tells the client that it has an allocation now. */
static bool grants_allocation(struct bytes message)
{
    struct stun_message answer;
    uint32_t lifetime_s;
    if (stun_message_parse(message, &answer) < 0 || answer.class != STUN_SUCCESS)
        return false;
    return answer.method == STUN_ALLOCATE ||
           (answer.method == STUN_REFRESH &&
            stun_message_find_u32(&answer, STUN_LIFETIME, &lifetime_s) == 0 && lifetime_s > 0);
}

static void carrier_send(struct turn_carrier *carrier, const struct turn_source *to unused,
                         struct bytes message)
{
    struct turn_association *association = association_of(carrier);
    if (!association->allocated)
        association->allocated = grants_allocation(message);
    send_record(association, message, bytes_of(NULL, 0), 0);
}

static void carrier_deliver(struct turn_carrier *carrier, const struct turn_deliver *deliver,
                            struct bytes payload)
{
    send_record(association_of(carrier), bytes_of(deliver->header, deliver->header_size), payload,
                deliver->padding);
}

/** Nothing is freed here: the association may be in the middle of its input. */
static void carrier_ended(struct turn_carrier *carrier, const struct turn_source *of unused,
                          enum turn_end why)
{
    struct turn_association *association = association_of(carrier);
    uint64_t now_us = turn_dtls_now_us(association->set);
    association->cache = NULL;
    association->allocated = false;
    association->ending = why == TURN_END_KILLED || why == TURN_END_STOPPED;
    association->ends_us = association->ending ? now_us : now_us + association->set->unallocated_us;
    loop_timer_set(&association->timer,
                   time_earlier(association->ends_us, association->timer.deadline_us));
}

static const struct turn_carrier_ops carrier_ops = {
    .send = carrier_send,
    .deliver = carrier_deliver,
    .ended = carrier_ended,
};

// Handshakes.

struct turn_association *turn_association_new(struct turn_dtls *set, struct udp_socket *socket,
                                              const struct net_path *path)
{
    struct turn_association *association = memory_new(struct turn_association);
    association->carrier.ops = &carrier_ops;
    association->set = set;
    association->socket = socket;
    association->source = (struct turn_source){
        .path = *path,
        .transport = TURN_DTLS,
        .carrier = &association->carrier,
    };
    association->run = UDP_GATHER_NO_RUN;
    list_init(&association->beginner);
    association->ends_us = TIME_NEVER;
    loop_timer_init(&association->timer, turn_worker_loop(set->turn), end_if_asked);
    return association;
}

static void handshake_ended(struct turn_dtls *set)
{
    metric_subtract(&set->metrics[TURN_DTLS_HANDSHAKES], 1);
}

static void side_done(struct turn_dtls_side *side)
{
    dtls_free(side->dtls);
    *side = (struct turn_dtls_side){ 0 };
}

bool turn_association_knows(const struct turn_association *association,
                            const struct dtls_client_hello *hello)
{
    const struct turn_dtls_side *side =
        association->next.dtls ? &association->next : &association->side;
    return memcmp(side->random, hello->random.data, sizeof(side->random)) == 0;
}

void turn_association_begin(struct turn_association *association,
                            const struct dtls_client_hello *hello)
{
    struct turn_dtls *set = association->set;
    // what was proven stays until the other is
    struct turn_dtls_side *side = association->connected ? &association->next : &association->side;
    if (!association->connected && list_empty(&association->beginner))
        list_append(&set->beginners, &association->beginner);
    if (side->dtls)
        handshake_ended(set);
    side_done(side);
    struct dtls_config config = {
        .context = set->context,
        .cookie_checked = true,
        .retransmit_first_us = TURN_DTLS_RETRANSMIT_US,
        .provider = set->provider,
        .metrics = set->dtls_metrics,
    };
    side->dtls = dtls_new(&config, turn_dtls_now_us(set));
    memcpy(side->random, hello->random.data, sizeof(side->random));
    metric_add(&set->metrics[TURN_DTLS_HANDSHAKES], 1);
}

void turn_association_free(struct turn_association *association)
{
    struct turn_dtls *set = association->set;
    if (association->side.dtls && !association->connected)
        handshake_ended(set);
    if (association->next.dtls)
        handshake_ended(set);
    if (association->adopted)
        turn_worker_association_ended(set->turn, &association->source.path);
    loop_timer_cancel(&association->timer);
    list_remove(&association->beginner);
    side_done(&association->side);
    side_done(&association->next);
    turn_dtls_remove(set, association);
    free(association);
}

void turn_association_end(struct turn_association *association, enum turn_dtls_metric why)
{
    struct turn_dtls *set = association->set;
    if (association->connected) {
        dtls_close(association->side.dtls);
        output(association, association->side.dtls);
    }
    if (association->allocated)
        turn_server_disconnected(turn_worker_server(set->turn), turn_dtls_now_us(set),
                                 &association->source);
    turn_dtls_count_event(set, why);
    turn_association_free(association);
}

/** The client that began anew has proven that it is one: it takes the place of the old one. */
static void replace(struct turn_association *association)
{
    struct turn_dtls *set = association->set;
    if (association->allocated)
        turn_server_disconnected(turn_worker_server(set->turn), turn_dtls_now_us(set),
                                 &association->source);
    association->cache = NULL;
    association->allocated = false;
    side_done(&association->side);
    association->side = association->next;
    association->next = (struct turn_dtls_side){ 0 };
    association->ends_us = turn_dtls_now_us(set) + set->unallocated_us;
    handshake_ended(set);
    turn_dtls_count_event(set, TURN_DTLS_REPLACED);
}

static void next_events(struct turn_association *association)
{
    struct dtls_event event;
    output(association, association->next.dtls);
    while (association->next.dtls && dtls_event(association->next.dtls, &event)) {
        if (event.kind == DTLS_CONNECTED) {
            replace(association);
        } else {
            handshake_ended(association->set);
            side_done(&association->next);
        }
    }
}

/** Returns false when the association has ended and is gone. */
static bool side_events(struct turn_association *association)
{
    struct turn_dtls *set = association->set;
    struct dtls_event event;
    output(association, association->side.dtls);
    while (dtls_event(association->side.dtls, &event)) {
        if (event.kind == DTLS_CONNECTED) {
            association->connected = true;
            list_remove(&association->beginner);
            association->ends_us = turn_dtls_now_us(set) + set->unallocated_us;
            handshake_ended(set);
            turn_dtls_count_event(set, TURN_DTLS_BEGAN);
            continue;
        }
        log_debug(turn_worker_log(set->turn), "a DTLS association ended",
                  log_address("client", &association->source.path.remote),
                  log_text("reason", event.reason));
        turn_association_end(association,
                             event.kind == DTLS_FAILED ? TURN_DTLS_FAILED : TURN_DTLS_CLOSED);
        return false;
    }
    return true;
}

void turn_association_serve(struct turn_association *association)
{
    next_events(association);
    if (!side_events(association))
        return;
    uint64_t deadline_us = dtls_deadline(association->side.dtls);
    if (association->next.dtls)
        deadline_us = time_earlier(deadline_us, dtls_deadline(association->next.dtls));
    if (!association->allocated)
        deadline_us = time_earlier(deadline_us, association->ends_us);
    loop_timer_set(&association->timer, deadline_us);
}

static void end_if_asked(struct loop_timer *timer, uint64_t now_us)
{
    struct turn_association *association = container_of(timer, struct turn_association, timer);
    if (!association->allocated && now_us >= association->ends_us) {
        turn_association_end(association,
                             association->ending ? TURN_DTLS_CLOSED : TURN_DTLS_UNALLOCATED);
        return;
    }
    dtls_tick(association->side.dtls, now_us);
    if (association->next.dtls)
        dtls_tick(association->next.dtls, now_us);
    turn_association_serve(association);
}

// From the client.

/** Records of the epoch that is proven are data and its alerts; the rest is about a handshake. */
static bool is_for_next(const struct turn_association *association, const uint8_t *data,
                        size_t size)
{
    if (!association->next.dtls || size < 5 || data[0] == RECORD_APPLICATION_DATA)
        return false;
    return data[0] != RECORD_ALERT || load_u16(data + 3) == 0;
}

void turn_association_input(struct turn_association *association, uint8_t *data, size_t size)
{
    struct turn_dtls *set = association->set;
    uint64_t now_us = turn_dtls_now_us(set);
    size_t at = 0;
    struct bytes message;
    if (is_for_next(association, data, size)) {
        // what a client sends behind its Finished comes again: its handshake is not over
        while (dtls_open(association->next.dtls, now_us, data, size, &at, &message) > 0)
            turn_dtls_count_event(set, TURN_DTLS_DROPPED_UNKNOWN);
        turn_association_serve(association);
        return;
    }
    struct dtls *dtls = association->side.dtls;
    bool only_data = association->connected && data[0] == RECORD_APPLICATION_DATA;
    while (dtls_open(dtls, now_us, data, size, &at, &message) > 0) {
        if (!association->allocated && turn_association_moves(association, message))
            return;
        turn_worker_client_input(set->turn, &association->source, &association->cache, message);
    }
    // data alone changes nothing that serve looks at
    if (!only_data || dtls_has_output(dtls) || !dtls_connected(dtls))
        turn_association_serve(association);
}
