/**
 * Topics of the server's own: roost/v1/{user}/... In them "%", "/", "+" and "#" of a name stand as
 * %25, %2F, %2B and %23.
 */
#pragma once

#include "base/text.h"

/** The first level, which nobody else has. */
#define MQTT_TOPICS_RESERVED "roost"
#define MQTT_TOPICS_FRONT    MQTT_TOPICS_RESERVED "/v1/"

/** Appends a name as one level. */
void mqtt_topics_append_level(struct text_builder *out, struct bytes name);
