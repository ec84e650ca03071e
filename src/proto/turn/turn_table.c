#include <stdlib.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

#define FIRST_BUCKETS 64

void turn_buckets_done(struct turn_buckets *buckets)
{
    free(buckets->heads);
    *buckets = (struct turn_buckets){ 0 };
}

static void node_link(struct turn_buckets *buckets, struct turn_node *node)
{
    struct turn_node **head = &buckets->heads[node->hash & buckets->mask];
    node->next = *head;
    *head = node;
}

static void grow(struct turn_buckets *buckets)
{
    uint32_t size = buckets->heads ? (buckets->mask + 1) * 2 : FIRST_BUCKETS;
    struct turn_buckets larger = {
        .heads = memory_new_array(struct turn_node *, size),
        .mask = size - 1,
        .count = buckets->count,
    };
    for (uint32_t i = 0; buckets->heads && i <= buckets->mask; i++) {
        for (struct turn_node *node = buckets->heads[i], *next; node; node = next) {
            next = node->next;
            node_link(&larger, node);
        }
    }
    free(buckets->heads);
    *buckets = larger;
}

static void node_add(struct turn_buckets *buckets, struct turn_node *node, uint32_t hash)
{
    if (!buckets->heads || buckets->count > buckets->mask)
        grow(buckets);
    node->hash = hash;
    node_link(buckets, node);
    buckets->count++;
}

static void node_remove(struct turn_buckets *buckets, struct turn_node *node)
{
    struct turn_node **at = &buckets->heads[node->hash & buckets->mask];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    buckets->count--;
}

/** The first node that may be what is looked for; those behind it by `next`. */
static struct turn_node *node_first(const struct turn_buckets *buckets, uint32_t hash)
{
    return buckets->count > 0 ? buckets->heads[hash & buckets->mask] : NULL;
}

/** A keyed hash: the client chooses half of its 5-tuple. */
static uint32_t source_hash(const struct turn_server *server, const struct turn_source *source)
{
    uint64_t hash = map_hash(server->secret, bytes_of(&source->path, sizeof(source->path)));
    return (uint32_t)hash + (uint32_t)source->transport * 0x9e3779b9u;
}

void turn_sources_add(struct turn_server *server, struct turn_allocation *allocation)
{
    node_add(&server->sources, &allocation->node, source_hash(server, &allocation->source));
}

void turn_sources_remove(struct turn_server *server, struct turn_allocation *allocation)
{
    node_remove(&server->sources, &allocation->node);
}

struct turn_allocation *turn_sources_find(const struct turn_server *server,
                                          const struct turn_source *source)
{
    if (server->sources.count == 0)
        return NULL;
    uint32_t hash = source_hash(server, source);
    for (struct turn_node *node = node_first(&server->sources, hash); node; node = node->next) {
        struct turn_allocation *allocation = container_of(node, struct turn_allocation, node);
        if (node->hash == hash && allocation->source.transport == source->transport &&
            net_path_equal(&allocation->source.path, &source->path))
            return allocation;
    }
    return NULL;
}

/** Nobody can choose ports: they are drawn at random. */
static uint32_t relay_hash(uint32_t address_index, uint16_t port)
{
    return port ^ address_index << 12;
}

void turn_relays_add(struct turn_server *server, struct turn_relay_entry *entry)
{
    node_add(&server->relays, &entry->node, relay_hash(entry->relay.address_index, entry->port));
}

void turn_relays_remove(struct turn_server *server, struct turn_relay_entry *entry)
{
    node_remove(&server->relays, &entry->node);
}

struct turn_relay_entry *turn_relays_find(const struct turn_server *server, uint32_t address_index,
                                          uint16_t port)
{
    uint32_t hash = relay_hash(address_index, port);
    for (struct turn_node *node = node_first(&server->relays, hash); node; node = node->next) {
        struct turn_relay_entry *entry = container_of(node, struct turn_relay_entry, node);
        if (entry->port == port && entry->relay.address_index == address_index)
            return entry;
    }
    return NULL;
}
