/** Topic aliases of one connection (MQTT 5.0, 3.3.2.3.4). Without any there is no memory. */
#pragma once

#include "base/bytes.h"

/** Aliases of one direction: those that the client gave, or those that we gave. */
struct broker_aliases;

/**
 * What an alias of the client's (1 to `max`) stands for: `topic` is set, or where it is not empty
 * remembered. Returns 0 or a reason: MQTT_TOPIC_ALIAS_INVALID, MQTT_PROTOCOL_ERROR. `max` must not
 * change.
 */
must_check int broker_aliases_resolve(struct broker_aliases **aliases, uint16_t alias, uint16_t max,
                                      struct bytes *topic);
/**
 * The alias that we have for a topic, or give it while there are less than `max`; 0: none.
 * `ret_new`: the client does not know it yet.
 */
uint16_t broker_aliases_give(struct broker_aliases **aliases, struct bytes topic, uint16_t max,
                             const uint64_t secret[2], bool *ret_new);
/** Accepts NULL; returns NULL. */
struct broker_aliases *broker_aliases_free(struct broker_aliases *aliases);
