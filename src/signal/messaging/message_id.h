/**
 * Ids of messages and past calls: 48 bits of Unix milliseconds and 80 random bits, 26 characters of
 * Crockford's base 32 (the form of a ULID). They sort by time, and each is greater than all before.
 */
#pragma once

#include "base/random.h"
#include "signal/model/messages.h"

struct message_ids {
    struct random *random;
    uint64_t unix_ms; /**< of the last one */
    uint8_t rest[10]; /**< and its random part */
};

/** `last`: one than which all shall be greater; "": none. */
void message_ids_init(struct message_ids *ids, struct random *random, const char *last);
/** The text than which all ids of that time and later are not smaller. */
void message_id_at(uint64_t unix_ms, char ret_id[MESSAGE_ID_SIZE]);
void message_ids_next(struct message_ids *ids, uint64_t unix_ms, char ret_id[MESSAGE_ID_SIZE]);
