#include "signal/messaging/messaging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"

_Static_assert(HISTORY_NAME_SIZE >= CALL_NAME_SIZE && HISTORY_ID_SIZE == MESSAGE_ID_SIZE,
               "the store has room for the model's names and ids");

static const struct metric_description descriptions[MESSAGING_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(MESSAGING_METRIC_##id, __VA_ARGS__)
#include "signal/messaging/messaging_metrics.def"
#undef METRIC
};

/** What a user missed is being read. */
struct fetching {
    bool again; /**< and is to be read once more */
};

static int64_t unix_ms(void)
{
    return (int64_t)(clock_unix_us() / TIME_US_PER_MS);
}

static void count(struct messaging *messaging, enum messaging_metric metric, uint64_t amount)
{
    metric_add(&messaging->metrics[metric], amount);
}

void messaging_init(struct messaging *messaging, struct call_directory *calls,
                    struct history *history, struct random *random)
{
    *messaging = (struct messaging){ .calls = calls, .history = history };
    message_ids_init(&messaging->ids, random, history ? history_last_id(history) : "");
    uint64_t secret[2] = { random_u64(random), random_u64(random) };
    map_init(&messaging->fetching, secret);
}

void messaging_done(struct messaging *messaging)
{
    size_t cursor = 0;
    void *fetching;
    while (map_next(&messaging->fetching, &cursor, NULL, &fetching))
        free(fetching);
    map_done(&messaging->fetching);
}

struct metric_set messaging_metrics(const struct messaging *messaging)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = messaging->metrics,
                                .count = MESSAGING_METRIC_COUNT,
                                .labels = "" };
}

static bool is_account(const struct messaging *messaging, const char *name)
{
    const struct call_directory_config *config = &messaging->calls->config;
    return config->is_account && config->is_account(config->owner, name);
}

/** ---- sending ---- */

static int check_sender(const struct messaging *messaging, const struct call_device *device,
                        const char *to)
{
    const char *from = call_device_user(device);
    if (!from)
        return -ENOTCONN;
    if (strcmp(from, to) == 0)
        return -EINVAL;
    return messaging->calls->config.hide_guests && !device->verified ? -EACCES : 0;
}

static struct history_note note_of(const struct user_message *message, bool from_keeps)
{
    struct history_note note = { .kind = HISTORY_MESSAGE,
                                 .from = message->from,
                                 .from_name = message->from_name,
                                 .from_verified = message->from_verified,
                                 .from_keeps = from_keeps,
                                 .to = message->to,
                                 .unix_ms = message->sent_unix_ms,
                                 .text = message->text };
    memcpy(note.id, message->id, MESSAGE_ID_SIZE);
    return note;
}

/** Somebody is there: the devices have it now, and the disk a little later. */
static void send_now(struct messaging *messaging, const struct call_device *device,
                     const struct user_message *message, bool to_keeps)
{
    if (messaging->history && (to_keeps || device->verified)) {
        struct history_note note = note_of(message, device->verified);
        note.to_is_known = note.to_keeps = to_keeps;
        // a store that is too busy counts it, and misses it in the history alone
        (void)!history_keep(messaging->history, &note, NULL);
    }
    message_hand_over(messaging->calls, message->to, message, NULL);
    message_hand_over(messaging->calls, message->from, message, device);
    count(messaging, MESSAGING_METRIC_HANDED, 1);
}

static int send_later(struct messaging *messaging, const struct call_device *device,
                      const struct user_message *message, bool to_is_known,
                      const struct history_return *back)
{
    struct history_note note = note_of(message, device->verified);
    note.missed = note.to_keeps = true;
    note.to_is_known = to_is_known;
    int result = history_keep(messaging->history, &note, back);
    if (result < 0)
        return result;
    // else it may be refused yet
    if (to_is_known)
        message_hand_over(messaging->calls, message->from, message, device);
    count(messaging, MESSAGING_METRIC_KEPT, 1);
    return -EINPROGRESS;
}

static int send_message(struct messaging *messaging, const struct call_device *device,
                        const struct user_message *message, const struct history_return *back)
{
    struct message_audience audience = message_audience(messaging->calls, message->to, NULL);
    bool may_wait = messaging->history && (audience.is_verified || !audience.is_registered);
    // to a device that is away it goes from the disk, when there is one: it may never come back
    if (audience.connected > 0 || (audience.away > 0 && !may_wait)) {
        send_now(messaging, device, message, audience.is_verified);
        return 0;
    }
    if (!may_wait)
        return -ENOENT;
    bool known = audience.is_verified || is_account(messaging, message->to);
    return send_later(messaging, device, message, known, back);
}

int messaging_send(struct messaging *messaging, const struct call_device *device, const char *to,
                   const char *text, const struct history_return *back,
                   struct messaging_receipt *ret_receipt)
{
    int result = check_sender(messaging, device, to);
    if (result == 0) {
        ret_receipt->sent_unix_ms = unix_ms();
        message_ids_next(&messaging->ids, (uint64_t)ret_receipt->sent_unix_ms, ret_receipt->id);
        struct user_message message = { .id = ret_receipt->id,
                                        .from = call_device_user(device),
                                        .from_name = device->name,
                                        .from_verified = device->verified,
                                        .to = to,
                                        .text = text,
                                        .sent_unix_ms = ret_receipt->sent_unix_ms };
        result = send_message(messaging, device, &message, back);
    }
    if (result < 0 && result != -EINPROGRESS)
        count(messaging, MESSAGING_METRIC_REFUSED, 1);
    return result;
}

/** ---- what was missed ---- */

static void hand_over_missed(struct messaging *messaging, const char *user,
                             const struct history_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct history_entry *entry = &answer->entries[i];
        struct user_message message = { .id = entry->id,
                                        .from = entry->peer,
                                        .from_name = entry->name,
                                        .from_verified = entry->verified,
                                        .to = user,
                                        .text = entry->text,
                                        .sent_unix_ms = entry->unix_ms,
                                        .missed = true };
        message_hand_over(messaging->calls, user, &message, NULL);
    }
    // when the store is too busy for this, they come once more another time
    if (answer->count > 0)
        (void)!history_settle(messaging->history, user, HISTORY_MESSAGE,
                              answer->entries[answer->count - 1].id);
    count(messaging, MESSAGING_METRIC_MISSED, answer->count);
    message_note_more(messaging->calls, user, answer->more);
}

static void fetch(struct messaging *messaging, const char *user, bool first);

static void missed_read(const struct history_return *back, const struct history_answer *answer)
{
    struct messaging *messaging = back->owner;
    const char *user = back->name;
    struct fetching *fetching = map_remove(&messaging->fetching, bytes_of_text(user));
    bool again = fetching->again;
    free(fetching);
    struct message_audience audience = message_audience(messaging->calls, user, NULL);
    if (answer->error < 0 || !audience.is_verified || audience.connected == 0)
        return;
    bool first = back->number;
    if (first && (answer->missed_calls > 0 || answer->missed_messages > 0))
        message_tell_missed(messaging->calls, user, answer->missed_calls, answer->missed_messages);
    hand_over_missed(messaging, user, answer);
    if (again)
        fetch(messaging, user, true);
}

/** One reading at a time for each user: nothing is handed over twice. */
static void fetch(struct messaging *messaging, const char *user, bool first)
{
    struct fetching *fetching = map_find(&messaging->fetching, bytes_of_text(user));
    if (fetching) {
        fetching->again = true; // what came behind the one that is under way
        return;
    }
    struct history_return back = { .done = missed_read, .owner = messaging, .number = first };
    snprintf(back.name, sizeof(back.name), "%s", user);
    if (history_read_missed(messaging->history, user, &back) == 0)
        map_set(&messaging->fetching, bytes_of_text(user), memory_new(struct fetching));
}

/** What is kept under a name that an account had before is not this one's. */
static void forget_namesake(struct messaging *messaging, const char *user)
{
    const struct call_directory_config *config = &messaging->calls->config;
    int64_t since = config->account_since ? config->account_since(config->owner, user) : 0;
    if (since <= 0)
        return;
    char id[MESSAGE_ID_SIZE];
    message_id_at((uint64_t)since, id);
    (void)!history_forget(messaging->history, user, id);
}

void messaging_arrived(struct messaging *messaging, const struct call_device *device)
{
    const char *user = call_device_user(device);
    if (!messaging->history || !user || !device->verified)
        return;
    if (!is_account(messaging, user)) // when the store is too busy, the next time does
        (void)!history_know(messaging->history, user, unix_ms());
    forget_namesake(messaging, user);
    if (device->ops->message)
        fetch(messaging, user, true);
}

void messaging_give_more(struct messaging *messaging, struct call_device *device)
{
    const char *user = call_device_user(device);
    if (!messaging->history || !user || !device->more_waits)
        return;
    message_note_more(messaging->calls, user, false);
    fetch(messaging, user, false);
}

void messaging_take_back(struct messaging *messaging, const char *user, const char *id)
{
    if (messaging->history && history_unsettle(messaging->history, user, id) == 0)
        count(messaging, MESSAGING_METRIC_TAKEN_BACK, 1);
}

/** ---- calls, and reading ---- */

static enum past_call_result result_of(const struct call_record *record)
{
    if (record->accepted_us)
        return PAST_CALL_ANSWERED;
    switch (record->reason) {
    case CALL_ENDED_CANCELLED:
    case CALL_ENDED_HANGUP:
        return PAST_CALL_CANCELLED;
    case CALL_ENDED_REJECTED:
        return PAST_CALL_REJECTED;
    case CALL_ENDED_BUSY:
        return PAST_CALL_BUSY;
    case CALL_ENDED_UNAVAILABLE:
        return PAST_CALL_UNAVAILABLE;
    case CALL_ENDED_LOST:
        return PAST_CALL_LOST;
    default:
        return PAST_CALL_MISSED;
    }
}

void messaging_call_ended(struct messaging *messaging, const struct call_record *record)
{
    // of two calls that crossed, the one that went on is written down
    if (!messaging->history || record->reason == CALL_ENDED_GLARE)
        return;
    struct message_audience callee = message_audience(messaging->calls, record->callee, NULL);
    enum past_call_result result = result_of(record);
    bool answered = result == PAST_CALL_ANSWERED;
    struct history_note note = {
        .kind = HISTORY_CALL,
        .from = record->caller,
        .from_name = record->caller_name,
        .from_verified = record->caller_verified,
        .from_keeps = record->caller_verified,
        .to = record->callee,
        .to_keeps = callee.is_verified || !callee.is_registered,
        .to_is_known = callee.is_verified || is_account(messaging, record->callee),
        .missed = !answered && result != PAST_CALL_REJECTED,
        .unix_ms = unix_ms() - (int64_t)((record->ended_us - record->began_us) / TIME_US_PER_MS),
        .media = (uint8_t)record->media,
        .result = (uint8_t)result,
        .seconds =
            answered ? (uint32_t)((record->ended_us - record->accepted_us) / TIME_US_PER_S) : 0,
        .from_binding = call_binding_text(record->caller_binding),
        .to_binding = record->callee_binding < CALL_BINDING_COUNT
                          ? call_binding_text(record->callee_binding)
                          : NULL,
    };
    if (!note.to_keeps && !note.from_keeps)
        return;
    message_ids_next(&messaging->ids, (uint64_t)unix_ms(), note.id);
    (void)!history_keep(messaging->history, &note, NULL);
}

int messaging_read(struct messaging *messaging, const struct call_device *device,
                   enum history_kind kind, const char *peer, const char *before, uint32_t limit,
                   const struct history_return *back)
{
    const char *user = call_device_user(device);
    if (!user)
        return -ENOTCONN;
    if (!device->verified)
        return -EACCES;
    if (messaging->history)
        return history_read(messaging->history, user, kind, peer, before, limit, back);
    back->done(back, &(struct history_answer){ 0 });
    return 0;
}

void messaging_calls_seen(struct messaging *messaging, const struct call_device *device,
                          const char *id)
{
    const char *user = call_device_user(device);
    if (messaging->history && user && device->verified)
        (void)!history_settle(messaging->history, user, HISTORY_CALL, id);
}
