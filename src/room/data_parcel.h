/**
 * One data message on its way to the members of a room: made once, on the sender's worker, never
 * changed, and shared by reference with all workers that have somebody who gets it.
 */
#pragma once

#include "base/handle.h"
#include "room/data_envelope.h"
#include "rtc/data.h"

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
/**
 * The name of one channel of a call and its twin, which says all that the twin is opened with. A
 * channel that `from` opens has one of its own, by `number`; a negotiated one has the same
 * whichever of the two sides is heard first. NULL: the system has no memory.
 */
must_check struct blob *data_call_name_new(uint64_t number, handle from, handle to,
                                           const struct rtc_data_channel *channel);
/** What such a name says; the texts are views of it. False for one of a room. */
bool data_call_name_read(const struct blob *name, handle ret_sides[2],
                         struct rtc_data_channel *ret_channel);
/** Whether channels of this name of a room carry the envelope of data_envelope.h. */
bool data_name_has_envelope(const struct blob *name);
