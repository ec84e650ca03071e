#include "broker/broker_aliases.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "proto/mqtt/mqtt.h"

struct broker_aliases {
    struct map numbers;   /**< given: alias + 1 by topic, since 1 is no value of a map */
    uint16_t count;       /**< given; or places in `names` */
    struct bytes names[]; /**< of the client's: by alias less 1, memory of its own */
};

int broker_aliases_resolve(struct broker_aliases **aliases, uint16_t alias, uint16_t max,
                           struct bytes *topic)
{
    if (alias == 0 || alias > max)
        return MQTT_TOPIC_ALIAS_INVALID;
    if (!*aliases) {
        *aliases = memory_allocate(1, sizeof(**aliases) + max * sizeof(struct bytes));
        (*aliases)->count = max;
    }
    ensure(alias <= (*aliases)->count);
    struct bytes *name = &(*aliases)->names[alias - 1];
    if (topic->size > 0) {
        free((void *)(uintptr_t)name->data);
        *name = bytes_of(memory_copy(topic->data, topic->size), topic->size);
        return 0;
    }
    *topic = *name;
    return name->size > 0 ? 0 : MQTT_PROTOCOL_ERROR;
}

uint16_t broker_aliases_give(struct broker_aliases **aliases, struct bytes topic, uint16_t max,
                             const uint64_t secret[2], bool *ret_new)
{
    *ret_new = false;
    if (max == 0)
        return 0;
    if (!*aliases) {
        *aliases = memory_new(struct broker_aliases);
        map_init(&(*aliases)->numbers, secret);
    }
    struct broker_aliases *given = *aliases;
    uintptr_t known = (uintptr_t)map_find(&given->numbers, topic);
    if (known)
        return (uint16_t)(known - 1);
    if (given->count == max)
        return 0;
    *ret_new = true;
    given->count++;
    map_set(&given->numbers, topic, (void *)(uintptr_t)(given->count + 1u));
    return given->count;
}

struct broker_aliases *broker_aliases_free(struct broker_aliases *aliases)
{
    if (!aliases)
        return NULL;
    // those that we gave have no names
    bool is_given = aliases->numbers.count > 0;
    for (uint16_t i = 0; !is_given && i < aliases->count; i++)
        free((void *)(uintptr_t)aliases->names[i].data);
    map_done(&aliases->numbers);
    free(aliases);
    return NULL;
}
