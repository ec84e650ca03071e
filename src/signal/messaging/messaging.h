/**
 * Messages between users and what is kept of them and of calls, for every language: the model says
 * who is there, the store keeps what must wait. Of the control thread; outlives the bindings.
 *
 * A message is acknowledged when a device of the receiver's has it, or when it is on the disk.
 * What is kept: messages and calls of users whose name something vouches for. A guest's name is
 * nobody's, so nothing is kept of guests, and nothing waits for them.
 */
#pragma once

#include "signal/messaging/message_id.h"
#include "signal/model/calls.h"
#include "store/history.h"

enum messaging_metric {
#define METRIC(id, kind, name, labels, help) MESSAGING_METRIC_##id,
#include "signal/messaging/messaging_metrics.def"
#undef METRIC
    MESSAGING_METRIC_COUNT,
};

struct messaging {
    struct call_directory *calls;
    struct history *history; /**< NULL: nothing is kept */
    struct message_ids ids;
    struct map fetching; /**< struct fetching of users whose missed messages are being read */
    metric_value metrics[MESSAGING_METRIC_COUNT];
};

/** What became of a call. */
enum past_call_result {
    PAST_CALL_ANSWERED,
    PAST_CALL_MISSED,
    PAST_CALL_CANCELLED,
    PAST_CALL_REJECTED,
    PAST_CALL_BUSY,
    PAST_CALL_UNAVAILABLE,
    PAST_CALL_LOST,
};

/** `history` NULL: nothing is kept. What it points to must outlive it. */
void messaging_init(struct messaging *messaging, struct call_directory *calls,
                    struct history *history, struct random *random);
void messaging_done(struct messaging *messaging);
struct metric_set messaging_metrics(const struct messaging *messaging);

/** What is known of a message once it is under way. */
struct messaging_receipt {
    char id[MESSAGE_ID_SIZE];
    int64_t sent_unix_ms;
};

/**
 * Sends a text of a device's to a user. Returns 0: a device of the receiver's has it; -EINPROGRESS:
 * `back` is answered when it is on the disk (0) or cannot be kept (-ENOENT: nothing vouches for the
 * receiver's name; another error: the disk's). Else it is not sent: -ENOTCONN (the device is not
 * registered), -EINVAL (to itself), -EACCES (a guest, and guests are hidden), -ENOENT (nobody is
 * there, and nothing is kept), -EAGAIN (the disk has too much to do), -EDQUOT (too much of this
 * user waits for it).
 */
must_check int messaging_send(struct messaging *messaging, const struct call_device *device,
                              const char *to, const char *text, const struct history_return *back,
                              struct messaging_receipt *ret_receipt);
/**
 * A device has registered or its connection is back: it gets what was missed. Harmless for those
 * for whom nothing is kept.
 */
void messaging_arrived(struct messaging *messaging, const struct call_device *device);
/** The device has taken what it was given, and can take more of what was missed. */
void messaging_give_more(struct messaging *messaging, struct call_device *device);
/** A message that was handed to the user's device did not reach it. */
void messaging_take_back(struct messaging *messaging, const char *user, const char *id);
/** call_directory_config.ended: keeps a call for both users. */
void messaging_call_ended(struct messaging *messaging, const struct call_record *record);
/**
 * Reads messages with a peer, or calls (`peer` NULL), as history_read. Returns 0, and `back` is
 * answered, from within when nothing is kept; -ENOTCONN (not registered), -EACCES (a guest),
 * -EAGAIN and -EDQUOT as above.
 */
must_check int messaging_read(struct messaging *messaging, const struct call_device *device,
                              enum history_kind kind, const char *peer, const char *before,
                              uint32_t limit, const struct history_return *back);
/** The device's user has seen the calls that it missed, up to the one with that id. */
void messaging_calls_seen(struct messaging *messaging, const struct call_device *device,
                          const char *id);
