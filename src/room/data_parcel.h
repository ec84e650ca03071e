/**
 * One data message on its way to the members of a room: made once, on the sender's worker, never
 * changed, and shared by reference with all workers that have somebody who gets it.
 */
#pragma once

#include "base/handle.h"
#include "room/data_envelope.h"

struct data_parcel {
    _Atomic uint32_t references;
    handle from;          /**< session of the sender; 0: the server */
    struct blob *name;    /**< of the channels that it goes to: data_name_new */
    struct blob *message; /**< as it is delivered */
    bool text;
    bool droppable;    /**< sent over an unreliable channel: lost where there is no room at once */
    uint32_t to_count; /**< 0: everybody */
    char to[][DATA_MEMBER_SIZE];
};

/** What a parcel is made of. Blobs are borrowed: the parcel takes references of its own. */
struct data_parcel_config {
    handle from;
    struct blob *name;
    struct blob *message;
    bool text;
    bool droppable;
    uint32_t to_count;
    const char (*to)[DATA_MEMBER_SIZE];
};

/** One reference. Never NULL. */
struct data_parcel *data_parcel_new(const struct data_parcel_config *config);
/** Any thread that holds one. */
struct data_parcel *data_parcel_ref(struct data_parcel *parcel);
/** Accepts NULL; returns NULL. */
struct data_parcel *data_parcel_unref(struct data_parcel *parcel);
/** Whether the member is among those whom the parcel is for. */
bool data_parcel_is_for(const struct data_parcel *parcel, const char *member);
/** Bytes of memory that the message takes. */
size_t data_parcel_size(const struct data_parcel *parcel);

/**
 * The name that channels share when messages of one reach the other: room, label and protocol as
 * one key. NULL: the system has no memory.
 */
must_check struct blob *data_name_new(uint64_t room, struct bytes label, struct bytes protocol);
/** Whether channels of this name carry the envelope of data_envelope.h. */
bool data_name_has_envelope(const struct blob *name);
