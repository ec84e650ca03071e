/**
 * The frame around messages of channels whose protocol is "roost.data.v1": it says whom a message
 * is for, and to those who get it who sent it (docs/data-channels.md).
 *
 *     0                   1                   2                   3
 *    +-------------------+-------------------+-------------------+------------------------
 *    | version = 1       | kind              | count of ids      | ids: length, characters ...
 *    +-------------------+-------------------+-------------------+------------------------
 *    | what the members agree on: topic and content ...
 *
 * To the server the ids are those of the members whom the message is for (none: everybody). From
 * the server there is one, the sender's, or none when the server itself speaks. Of `kind` the
 * server knows only the highest bit, and sets it in what it delivers: the message was not for
 * everybody.
 */
#pragma once

#include "base/blob.h"

#define DATA_ENVELOPE_PROTOCOL "roost.data.v1"
/** Members that one message can name; more than that are an error. */
#define DATA_ENVELOPE_IDS_MAX 64
/** Size of a member's id with terminator (ROOM_ID_SIZE). */
#define DATA_MEMBER_SIZE 12

struct data_envelope {
    uint8_t kind; /**< without the highest bit */
    size_t id_count;
    char ids[DATA_ENVELOPE_IDS_MAX][DATA_MEMBER_SIZE];
    struct bytes rest; /**< behind the ids; a view of the frame */
};

/**
 * Reads a frame of a client. Returns 0; -EBADMSG (not a frame of this version, cut off, an id that
 * cannot be one), -E2BIG (too many ids). What a failure leaves in `ret_envelope` means nothing.
 */
must_check int data_envelope_read(struct bytes frame, struct data_envelope *ret_envelope);
/** The frame as it is delivered, from `sender` ("" : the server). NULL: the system has no memory.
 */
must_check struct blob *data_envelope_deliver(uint8_t kind, const char *sender, bool directed,
                                              struct bytes rest);
