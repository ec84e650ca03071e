#include "server/turn_dtls.h"

#include <stdlib.h>

#include "base/memory.h"
#include "server/turn_dtls_int.h"

const struct metric_description turn_dtls_metric_descriptions[TURN_DTLS_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(TURN_DTLS_##id, kind, name, labels, help)
#include "server/turn_dtls_metrics.def"
#undef METRIC
};

// Output.

uint8_t *turn_dtls_reserve(struct turn_dtls *set, size_t size)
{
    ensure(size <= TURN_DTLS_OUTPUT_SIZE);
    if (!set->output)
        set->output = memory_allocate(1, TURN_DTLS_OUTPUT_SIZE);
    if (TURN_DTLS_OUTPUT_SIZE - set->output_used < size) {
        udp_gather_flush(turn_worker_gather(set->turn));
        set->output_used = 0;
    }
    uint8_t *at = set->output + set->output_used;
    set->output_used += size;
    return at;
}

static void end_of_turn(struct loop_hook *hook)
{
    struct turn_dtls *set = container_of(hook, struct turn_dtls, flush);
    if (set->output_used == 0)
        return;
    udp_gather_flush(turn_worker_gather(set->turn));
    set->output_used = 0;
}

// Input.

static struct bytes key_of(const struct net_path *path)
{
    return bytes_of(path, sizeof(*path));
}

void turn_dtls_remove(struct turn_dtls *set, struct turn_association *association)
{
    if (set->last == association)
        set->last = NULL;
    map_remove(&set->associations, key_of(&association->source.path));
    address_limit_release(&set->limit, &association->source.path.remote);
    metric_set(&set->metrics[TURN_DTLS_ASSOCIATIONS], set->associations.count);
}

struct turn_association *turn_dtls_find(struct turn_dtls *set, const struct net_path *path)
{
    if (!set->last || !net_path_equal(&set->last->source.path, path))
        set->last = map_find(&set->associations, key_of(path));
    return set->last;
}

static void ask_for_cookie(struct turn_dtls *set, struct udp_socket *socket,
                           const struct net_path *path, const struct dtls_client_hello *hello)
{
    uint8_t *out = turn_dtls_reserve(set, DTLS_HELLO_VERIFY_SIZE);
    dtls_hello_verify_write(&set->cookie_key, turn_dtls_now_us(set), path, hello, out);
    uint32_t run = UDP_GATHER_NO_RUN;
    udp_gather_add(turn_worker_gather(set->turn), socket, path, NULL, 0,
                   bytes_of(out, (size_t)DTLS_HELLO_VERIFY_SIZE), 0, 0, &run);
    turn_dtls_count_event(set, TURN_DTLS_COOKIES);
}

/**
 * The oldest one that has begun and not finished goes, so that those who hold places without going
 * on keep nobody out who does. False: there is none.
 */
static bool make_room(struct turn_dtls *set)
{
    if (list_empty(&set->beginners))
        return false;
    turn_association_end(container_of(set->beginners.next, struct turn_association, beginner),
                         TURN_DTLS_PUSHED_OUT);
    return true;
}

/** Whether one more handshake may begin; counts why not. May end others. */
static bool may_begin(struct turn_dtls *set, const struct net_address *client)
{
    if (!address_rate_take(&set->rate, client, turn_dtls_now_us(set), TURN_DTLS_HANDSHAKE_PER_S,
                           TURN_DTLS_HANDSHAKE_BURST))
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_ADDRESS);
    else if (metric_get(&set->metrics[TURN_DTLS_HANDSHAKES]) >= TURN_DTLS_HANDSHAKES_MAX &&
             !make_room(set))
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_BUSY);
    else
        return true;
    return false;
}

static bool take_place(struct turn_dtls *set, const struct net_address *client)
{
    if (address_limit_take(&set->limit, client))
        return true;
    return set->associations.count >= set->limit.total && make_room(set) &&
           address_limit_take(&set->limit, client);
}

struct turn_association *turn_dtls_add(struct turn_dtls *set, struct udp_socket *socket,
                                       const struct net_path *path)
{
    if (!take_place(set, &path->remote)) {
        bool full = set->associations.count >= set->limit.total;
        turn_dtls_count_event(set, full ? TURN_DTLS_DROPPED_FULL : TURN_DTLS_DROPPED_ADDRESS);
        return NULL;
    }
    struct turn_association *association = turn_association_new(set, socket, path);
    map_set(&set->associations, key_of(path), association);
    metric_set(&set->metrics[TURN_DTLS_ASSOCIATIONS], set->associations.count);
    return association;
}

/** Nothing is kept, and the client's association is not touched, before the cookie is right. */
static void client_hello(struct turn_dtls *set, struct udp_socket *socket,
                         const struct udp_datagram *datagram)
{
    const struct net_path *path = &datagram->path;
    struct dtls_client_hello hello;
    if (dtls_client_hello_parse(bytes_of(datagram->data, datagram->size), &hello) < 0) {
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_HELLO);
        return;
    }
    if (!dtls_cookie_is_right(&set->cookie_key, turn_dtls_now_us(set), path, &hello)) {
        ask_for_cookie(set, socket, path, &hello);
        return;
    }
    struct turn_association *association = turn_dtls_find(set, path);
    if (!association || !turn_association_knows(association, &hello)) {
        if (!may_begin(set, &path->remote))
            return;
        association = turn_dtls_find(set, path); // it may have had to go
        if (!association)
            association = turn_dtls_add(set, socket, path);
        if (!association)
            return;
        turn_association_begin(association, &hello);
    }
    turn_association_input(association, datagram->data, datagram->size);
}

void turn_dtls_input(struct turn_dtls *set, struct udp_socket *socket,
                     const struct udp_datagram *datagram)
{
    if (dtls_is_client_hello(bytes_of(datagram->data, datagram->size))) {
        client_hello(set, socket, datagram);
        return;
    }
    struct turn_association *association = turn_dtls_find(set, &datagram->path);
    if (association && datagram->size > 0)
        turn_association_input(association, datagram->data, datagram->size);
    else
        turn_dtls_count_event(set, TURN_DTLS_DROPPED_UNKNOWN);
}

// Life.

static int make_context(struct turn_dtls *set, struct certificate *certificate,
                        struct dtls_context **ret_context)
{
    char reason[200];
    struct text_builder error = text_builder_of(reason, sizeof(reason));
    int result = dtls_context_new_server(certificate, &error, ret_context);
    if (result < 0)
        log_failure(turn_worker_log(set->turn), "TURN over DTLS cannot use this certificate",
                    log_text("reason", reason));
    return result;
}

struct turn_dtls *turn_dtls_new(struct turn_worker *turn, struct certificate *certificate)
{
    struct turn_dtls *set = memory_new(struct turn_dtls);
    set->turn = turn;
    if (make_context(set, certificate, &set->context) < 0) {
        free(set);
        return NULL;
    }
    const struct turn_shared *shared = turn_worker_shared(turn);
    struct random *random = turn_worker_random(turn);
    set->provider = cipher_provider_new(CIPHER_BEST);
    dtls_cookie_key_init(&set->cookie_key, shared->cookie_secret.bytes);
    uint64_t secret[2];
    random_fill(random, secret, sizeof(secret));
    map_init(&set->associations, secret);
    list_init(&set->beginners);
    uint32_t most = shared->options.dtls_associations_max;
    address_limit_init(&set->limit, TURN_DTLS_PER_ADDRESS, most ? most : TURN_DTLS_ASSOCIATIONS_MAX,
                       secret);
    address_rate_init(&set->rate, secret);
    set->unallocated_us = shared->options.stream_timeout_us ? shared->options.stream_timeout_us
                                                            : TURN_DTLS_UNALLOCATED_US;
    datagram_batch_init(&set->batch, 32 << 10, 32);
    set->batch.flush = udp_socket_flush;
    loop_hook_init(&set->flush, end_of_turn);
    loop_hook_add(turn_worker_loop(turn), &set->flush);
    return set;
}

struct turn_dtls *turn_dtls_free(struct turn_dtls *set)
{
    if (!set)
        return NULL;
    size_t cursor = 0;
    void *association;
    while (map_next(&set->associations, &cursor, NULL, &association))
        turn_association_end(association, TURN_DTLS_CLOSED);
    udp_gather_flush(turn_worker_gather(set->turn));
    loop_hook_remove(&set->flush);
    map_done(&set->associations);
    address_limit_done(&set->limit);
    datagram_batch_done(&set->batch);
    dtls_context_unref(set->context);
    cipher_provider_free(set->provider);
    memory_wipe(&set->cookie_key, sizeof(set->cookie_key));
    free(set->output);
    free(set);
    return NULL;
}

void turn_dtls_set_certificate(struct turn_dtls *set, struct certificate *certificate)
{
    struct dtls_context *context;
    if (make_context(set, certificate, &context) < 0)
        return;
    dtls_context_unref(set->context);
    set->context = context;
}

uint32_t turn_dtls_count(const struct turn_dtls *set)
{
    return (uint32_t)set->associations.count;
}

void turn_dtls_metric_sets(const struct turn_dtls *set, const char *labels,
                           struct metric_set ret_sets[TURN_DTLS_METRIC_SETS])
{
    ret_sets[0] = (struct metric_set){ turn_dtls_metric_descriptions, set->metrics,
                                       TURN_DTLS_METRIC_COUNT, labels };
    ret_sets[1] = (struct metric_set){ dtls_metric_descriptions, set->dtls_metrics,
                                       DTLS_METRIC_COUNT, labels };
}
