// The engine: its configuration, the rate of messages, deadlines.
#include "signal/peerjs/peerjs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/peerjs/peerjs_int.h"

/** Bytes of a message that cost one more token of the bucket. */
#define RATE_BYTES 4096
/** Bursts of refused messages after which a client that does not heed it is cut off. */
#define RATE_PATIENCE 4

static const struct metric_description descriptions[PEERJS_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(PEERJS_METRIC_##id, __VA_ARGS__)
#include "signal/peerjs/peerjs_metrics.def"
#undef METRIC
};

static void set_defaults(struct peerjs_config *config)
{
#define DEFAULT(field, value) config->field = config->field ? config->field : (value)
    DEFAULT(key, "peerjs");
    DEFAULT(expire_us, 5 * TIME_US_PER_S);
    DEFAULT(resume_window_us, 30 * TIME_US_PER_S);
    DEFAULT(peer_count_max, 5000);
    DEFAULT(peer_per_address_count_max, 1000);
    DEFAULT(message_rate, 50);
    DEFAULT(message_burst, 400);
    DEFAULT(held_size_max, (size_t)16 << 20);
#undef DEFAULT
}

struct signal_peerjs *signal_peerjs_new(const struct peerjs_config *config)
{
    struct signal_peerjs *peerjs = memory_new(struct signal_peerjs);
    peerjs->config = *config;
    set_defaults(&peerjs->config);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    map_init(&peerjs->sessions, secret);
    map_init(&peerjs->places, secret);
    map_init(&peerjs->receivers, secret);
    list_init(&peerjs->away);
    list_init(&peerjs->ringing);
    list_init(&peerjs->waiting);
    address_limit_init(&peerjs->address_limit, peerjs->config.peer_per_address_count_max,
                       peerjs->config.peer_count_max, secret);
    return peerjs;
}

void signal_peerjs_reload(struct signal_peerjs *peerjs, const struct peerjs_config *config)
{
    struct peerjs_config old = peerjs->config;
    peerjs->config = *config;
    set_defaults(&peerjs->config);
    peerjs->config.calls = old.calls;
    peerjs->config.transport = old.transport;
    peerjs->config.random = old.random;
    peerjs->address_limit.per_address = peerjs->config.peer_per_address_count_max;
    peerjs->address_limit.total = peerjs->config.peer_count_max;
}

void signal_peerjs_free(struct signal_peerjs *peerjs)
{
    if (!peerjs)
        return;
    size_t cursor = 0;
    void *item;
    while (map_next(&peerjs->sessions, &cursor, NULL, &item))
        ((struct peerjs_peer *)item)->socket = NULL;
    cursor = 0;
    while (map_next(&peerjs->sessions, &cursor, NULL, &item))
        peerjs_peer_end(item, 0, CALL_ENDED_LOST);
    map_done(&peerjs->sessions);
    map_done(&peerjs->places);
    map_done(&peerjs->receivers);
    address_limit_done(&peerjs->address_limit);
    free(peerjs);
}

bool signal_peerjs_is_key(const struct signal_peerjs *peerjs, const char *key)
{
    return strcmp(key, peerjs->config.key) == 0;
}

void signal_peerjs_make_id(struct signal_peerjs *peerjs, char ret_id[PEERJS_ID_SIZE])
{
    // RFC 9562, 5.4: random but for four bits of version and two of variant
    uint64_t high = random_u64(peerjs->config.random), low = random_u64(peerjs->config.random);
    high = (high & ~0xf000ull) | 0x4000ull;
    low = (low & 0x3fffffffffffffffull) | 0x8000000000000000ull;
    snprintf(ret_id, PEERJS_ID_SIZE, "%08llx-%04llx-%04llx-%04llx-%012llx",
             (unsigned long long)(high >> 32), (unsigned long long)(high >> 16 & 0xffff),
             (unsigned long long)(high & 0xffff), (unsigned long long)(low >> 48),
             (unsigned long long)(low & 0xffffffffffffull));
}

/** ---- messages ---- */

/** True when the message may pass. */
static bool take_tokens(struct peerjs_peer *peer, uint64_t now_us, size_t size)
{
    const struct peerjs_config *config = &peer->peerjs->config;
    int64_t full = config->message_burst * 1000ll;
    uint64_t gained = (now_us - peer->refilled_us) * config->message_rate / 1000;
    if (gained > 0) {
        peer->refilled_us = now_us;
        peer->millitokens = (int64_t)min_of((uint64_t)full, (uint64_t)peer->millitokens + gained);
    }
    int64_t cost = min_of(1000 * (1 + (int64_t)(size / RATE_BYTES)), full);
    if (peer->millitokens < cost) {
        peer->refused += (uint32_t)(cost / 1000);
        return false;
    }
    peer->millitokens -= cost;
    // what passes pays off as much: of a flood something passes, too
    peer->refused -= min_of(peer->refused, (uint32_t)(cost / 1000));
    return true;
}

static void drop_too_fast(struct peerjs_peer *peer)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    peerjs_count(peerjs, PEERJS_METRIC_DROPPED_RATE);
    if (peer->refused <= RATE_PATIENCE * peerjs->config.message_burst)
        return;
    peerjs_send(peer, peerjs_write_notice("ERROR", "Too many messages"));
    peerjs_close(peer, 1008, "too many messages");
}

void signal_peerjs_input(struct signal_peerjs *peerjs, uint64_t now_us, struct peerjs_peer *peer,
                         struct bytes text)
{
    if (peer->closing)
        return;
    peerjs_count(peerjs, PEERJS_METRIC_MESSAGES);
    if (!take_tokens(peer, now_us, text.size)) {
        drop_too_fast(peer);
        return;
    }
    struct peerjs_message message;
    enum peerjs_problem problem;
    if (peerjs_read(text, &message, &problem) < 0) {
        peerjs_count(peerjs, problem == PEERJS_PROBLEM_TYPE ? PEERJS_METRIC_DROPPED_TYPE
                                                            : PEERJS_METRIC_DROPPED_MALFORMED);
        return;
    }
    if (peer->state == PEERJS_OPEN)
        peerjs_handle(peer, now_us, &message, text, false);
    else
        peerjs_count(peerjs, PEERJS_METRIC_DROPPED_NOT_OPEN);
    peerjs_message_done(&message);
}

/** ---- time ---- */

static struct peerjs_peer *longest_away(const struct signal_peerjs *peerjs)
{
    if (list_empty(&peerjs->away))
        return NULL;
    return container_of(peerjs->away.next, struct peerjs_peer, away_node);
}

void signal_peerjs_tick(struct signal_peerjs *peerjs, uint64_t now_us)
{
    while (!list_empty(&peerjs->ringing)) {
        struct peerjs_peer *peer =
            container_of(peerjs->ringing.next, struct peerjs_peer, ringing_node);
        list_remove(&peer->ringing_node);
        peerjs_ring(peer);
    }
    struct peerjs_peer *peer;
    while ((peer = longest_away(peerjs)) &&
           (list_empty(&peer->connections) ||
            peer->away_since_us + peerjs->config.resume_window_us <= now_us))
        peerjs_peer_end(peer, now_us, CALL_ENDED_LOST);
    peerjs_waiting_expire(peerjs, now_us);
}

uint64_t signal_peerjs_deadline(const struct signal_peerjs *peerjs)
{
    if (!list_empty(&peerjs->ringing))
        return 0;
    uint64_t deadline = peerjs_waiting_deadline(peerjs);
    const struct peerjs_peer *peer = longest_away(peerjs);
    if (peer)
        deadline = time_earlier(deadline, peer->away_since_us + peerjs->config.resume_window_us);
    return deadline;
}

void signal_peerjs_drain(struct signal_peerjs *peerjs)
{
    size_t cursor = 0;
    void *item;
    while (map_next(&peerjs->sessions, &cursor, NULL, &item))
        peerjs_close(item, 1001, "server stops");
}

/** ---- what is to be seen ---- */

char *signal_peerjs_list(const struct signal_peerjs *peerjs)
{
    const struct call_directory *calls = peerjs->config.calls;
    if (calls->config.hide_guests)
        return NULL;
    const struct map *users = &calls->users;
    char **names = memory_new_array(char *, users->count + 1);
    size_t count = 0, cursor = 0;
    struct bytes name;
    void *user;
    while (map_next(users, &cursor, &name, &user))
        names[count++] = memory_copy(name.data, name.size);
    char *text = peerjs_write_names((const char *const *)names, count);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return text;
}

void signal_peerjs_count_rate(struct signal_peerjs *peerjs)
{
    peerjs_count(peerjs, PEERJS_METRIC_REFUSED_RATE);
}

struct metric_set signal_peerjs_metrics(const struct signal_peerjs *peerjs)
{
    return (struct metric_set){ descriptions, peerjs->metrics, PEERJS_METRIC_COUNT, "" };
}
