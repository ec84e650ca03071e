#include <stdlib.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

#define FIRST_BUCKETS 64

void turn_buckets_done(struct turn_buckets *buckets)
{
    free(buckets->heads);
    *buckets = (struct turn_buckets){ 0 };
}

static struct turn_buckets buckets_of(uint32_t size)
{
    return (struct turn_buckets){ .heads = memory_new_array(void *, size), .mask = size - 1 };
}

/** Whether the table wants to be rebuilt before one more is added; `ret_larger` is the new one. */
static bool buckets_full(const struct turn_buckets *buckets, struct turn_buckets *ret_larger)
{
    if (buckets->heads && buckets->count <= buckets->mask)
        return false;
    *ret_larger = buckets_of(buckets->heads ? (buckets->mask + 1) * 2 : FIRST_BUCKETS);
    return true;
}

/** A keyed hash: the client chooses half of its 5-tuple. */
static uint32_t source_hash(const struct turn_server *server, const struct turn_source *source)
{
    uint64_t hash = map_hash(server->secret, bytes_of(&source->path, sizeof(source->path)));
    return (uint32_t)hash + (uint32_t)source->transport * 0x9e3779b9u;
}

static void source_link(struct turn_server *server, struct turn_buckets *buckets,
                        struct turn_allocation *allocation)
{
    void **head = &buckets->heads[source_hash(server, &allocation->source) & buckets->mask];
    allocation->next = *head;
    *head = allocation;
    buckets->count++;
}

void turn_sources_add(struct turn_server *server, struct turn_allocation *allocation)
{
    struct turn_buckets larger, *old = &server->sources;
    if (buckets_full(old, &larger)) {
        for (uint32_t i = 0; old->heads && i <= old->mask; i++) {
            for (struct turn_allocation *at = old->heads[i], *next; at; at = next) {
                next = at->next;
                source_link(server, &larger, at);
            }
        }
        turn_buckets_done(old);
        *old = larger;
    }
    source_link(server, &server->sources, allocation);
}

void turn_sources_remove(struct turn_server *server, struct turn_allocation *allocation)
{
    struct turn_buckets *buckets = &server->sources;
    void **head = &buckets->heads[source_hash(server, &allocation->source) & buckets->mask];
    if (*head == allocation) {
        *head = allocation->next;
    } else {
        struct turn_allocation *before = *head;
        while (before->next != allocation)
            before = before->next;
        before->next = allocation->next;
    }
    buckets->count--;
}

struct turn_allocation *turn_sources_find(const struct turn_server *server,
                                          const struct turn_source *source)
{
    const struct turn_buckets *buckets = &server->sources;
    if (buckets->count == 0)
        return NULL;
    struct turn_allocation *at = buckets->heads[source_hash(server, source) & buckets->mask];
    while (at && (at->source.transport != source->transport ||
                  !net_path_equal(&at->source.path, &source->path)))
        at = at->next;
    return at;
}

/** Nobody can choose ports: they are drawn at random. */
static uint32_t relay_hash(uint32_t address_index, uint16_t port)
{
    return port ^ address_index << 12;
}

static void relay_link(struct turn_buckets *buckets, struct turn_relay_entry *entry)
{
    uint32_t hash = relay_hash(entry->relay.address_index, entry->port);
    void **head = &buckets->heads[hash & buckets->mask];
    entry->next = *head;
    *head = entry;
    buckets->count++;
}

void turn_relays_add(struct turn_server *server, struct turn_relay_entry *entry)
{
    struct turn_buckets larger, *old = &server->relays;
    if (buckets_full(old, &larger)) {
        for (uint32_t i = 0; old->heads && i <= old->mask; i++) {
            for (struct turn_relay_entry *at = old->heads[i], *next; at; at = next) {
                next = at->next;
                relay_link(&larger, at);
            }
        }
        turn_buckets_done(old);
        *old = larger;
    }
    relay_link(&server->relays, entry);
}

void turn_relays_remove(struct turn_server *server, struct turn_relay_entry *entry)
{
    struct turn_buckets *buckets = &server->relays;
    uint32_t hash = relay_hash(entry->relay.address_index, entry->port);
    void **head = &buckets->heads[hash & buckets->mask];
    if (*head == entry) {
        *head = entry->next;
    } else {
        struct turn_relay_entry *before = *head;
        while (before->next != entry)
            before = before->next;
        before->next = entry->next;
    }
    buckets->count--;
}

struct turn_relay_entry *turn_relays_find(const struct turn_server *server, uint32_t address_index,
                                          uint16_t port)
{
    const struct turn_buckets *buckets = &server->relays;
    if (buckets->count == 0)
        return NULL;
    struct turn_relay_entry *at = buckets->heads[relay_hash(address_index, port) & buckets->mask];
    while (at && (at->port != port || at->relay.address_index != address_index))
        at = at->next;
    return at;
}
