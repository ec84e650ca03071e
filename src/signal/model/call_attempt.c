#include "signal/model/call_attempt.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

struct call_attempt {
    struct list node;
    uint64_t due_us; /**< when all calls until now are paid for */
    uint32_t ringing;
    size_t key_size;
    uint8_t key[];
};

/** A kind, whoever is of that kind, and the callee. */
struct pair_key {
    uint8_t bytes[1 + CALL_NAME_SIZE + CALL_NAME_SIZE];
    size_t size;
};

static void add(struct pair_key *key, const void *data, size_t size)
{
    ensure(size <= sizeof(key->bytes) - key->size);
    memcpy(key->bytes + key->size, data, size);
    key->size += size;
}

static void add_text(struct pair_key *key, char kind, const char *text)
{
    add(key, &kind, 1);
    add(key, text, strlen(text) + 1);
}

static struct pair_key key_of(const struct call_device *caller, const char *to)
{
    struct pair_key key = { 0 };
    const char *user = call_device_user(caller);
    const struct net_address *remote = &caller->remote;
    if (user && caller->verified) {
        add_text(&key, '!', user);
    } else if (remote->family != NET_NONE && !caller->loopback) {
        add(&key, remote->family == NET_IPV6 ? "6" : "4", 1);
        add(&key, remote->ip, remote->family == NET_IPV6 ? 8 : 4);
    } else if (user) {
        add_text(&key, '?', user);
    } else {
        add(&key, "@", 1);
        add(&key, &caller, sizeof(caller)); // another one in its place is as unknown
    }
    add(&key, to, strnlen(to, CALL_NAME_SIZE - 1));
    return key;
}

static void attempt_free(struct call_attempts *attempts, struct call_attempt *attempt)
{
    map_remove(&attempts->pairs, bytes_of(attempt->key, attempt->key_size));
    list_remove(&attempt->node);
    free(attempt);
}

static struct call_attempt *oldest(const struct call_attempts *attempts)
{
    return list_empty(&attempts->by_age)
               ? NULL
               : container_of(attempts->by_age.next, struct call_attempt, node);
}

/** Those who owe nothing go, and one more where there are too many. */
static void make_room(struct call_attempts *attempts, uint64_t now_us)
{
    struct call_attempt *attempt;
    while ((attempt = oldest(attempts)) &&
           (attempt->due_us <= now_us || attempts->pairs.count >= CALL_ATTEMPTS_KEPT_MAX))
        attempt_free(attempts, attempt);
}

void call_attempts_init(struct call_attempts *attempts, const uint64_t secret[2])
{
    *attempts = (struct call_attempts){ 0 };
    map_init(&attempts->pairs, secret);
    list_init(&attempts->by_age);
}

void call_attempts_done(struct call_attempts *attempts)
{
    struct call_attempt *attempt;
    while ((attempt = oldest(attempts)))
        attempt_free(attempts, attempt);
    ensure(attempts->pairs.count == 0);
    map_done(&attempts->pairs);
}

struct call_attempt *call_attempts_find(const struct call_attempts *attempts,
                                        const struct call_device *caller, const char *to)
{
    struct pair_key key = key_of(caller, to);
    return map_find(&attempts->pairs, bytes_of(key.bytes, key.size));
}

/** Whether no more than that many calls are owed. */
static bool owes_at_most(const struct call_attempts *attempts, const struct call_attempt *attempt,
                         uint64_t now_us, uint64_t calls)
{
    return !attempt || attempt->due_us <= now_us + calls * attempts->cost_us;
}

bool call_attempt_may_ring(const struct call_attempts *attempts, const struct call_attempt *attempt,
                           uint64_t now_us)
{
    return owes_at_most(attempts, attempt, now_us, CALL_ATTEMPTS_OWED_MAX - 1);
}

bool call_attempt_gives_way(const struct call_attempts *attempts,
                            const struct call_attempt *attempt, uint64_t now_us)
{
    return !owes_at_most(attempts, attempt, now_us, 1);
}

struct call_attempt *call_attempt_begin(struct call_attempts *attempts,
                                        const struct call_device *caller, const char *to,
                                        uint64_t now_us)
{
    struct pair_key key = key_of(caller, to);
    make_room(attempts, now_us);
    struct call_attempt *attempt = map_find(&attempts->pairs, bytes_of(key.bytes, key.size));
    if (!attempt) {
        attempt = memory_allocate(1, sizeof(*attempt) + key.size);
        list_init(&attempt->node);
        attempt->key_size = key.size;
        memcpy(attempt->key, key.bytes, key.size);
        map_set(&attempts->pairs, bytes_of(key.bytes, key.size), attempt);
    }
    list_remove(&attempt->node);
    attempt->ringing++;
    attempt->due_us = max_of(attempt->due_us, now_us) + attempts->cost_us;
    return attempt;
}

void call_attempt_end(struct call_attempts *attempts, struct call_attempt *attempt, uint64_t now_us,
                      bool settled)
{
    ensure(attempt->ringing > 0);
    attempt->ringing--;
    if (settled)
        attempt->due_us = 0;
    if (attempt->ringing > 0)
        return;
    if (attempt->due_us <= now_us)
        attempt_free(attempts, attempt);
    else
        list_append(&attempts->by_age, &attempt->node);
}
