/** Subscriptions of sessions. */
#pragma once

#include "broker/broker_int.h"

/** Takes a session out of every topic, without a word to the journal. */
void broker_unsubscribe_all(struct broker_session *session);
/**
 * Adds or replaces a subscription; `filter` with its "$share". Returns MQTT_SUCCESS with `ret_new`,
 * or a reason: MQTT_TOPIC_FILTER_INVALID, MQTT_QUOTA_EXCEEDED.
 */
must_check int broker_subscribe(struct broker_session *session, struct bytes filter,
                                const struct mqtt_subscription_options *options, uint32_t id,
                                bool *ret_new);
/** Returns whether there was one. */
bool broker_unsubscribe(struct broker_session *session, struct bytes filter);
/** Its own one to a filter, not shared; NULL: it has none. */
struct broker_subscription *broker_subscription_to(struct broker_session *session,
                                                   struct bytes filter);

/** A filter with its "$share" and group. */
#define BROKER_FILTER_SIZE_MAX MQTT_TOPIC_SIZE_MAX

/** `filter` is where its text goes, which the record points to. */
struct broker_record broker_record_of_subscription(const struct broker_subscription *subscription,
                                                   uint8_t filter[BROKER_FILTER_SIZE_MAX]);
/** Subscribes as a record says; what is not allowed any more is left out. */
void broker_restore_subscription(struct broker_session *session,
                                 const struct broker_record *record);
