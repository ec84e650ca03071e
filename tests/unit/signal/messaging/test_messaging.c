// Messages between devices, with a store that keeps what must wait.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signal/messaging/messaging.h"

#define PATIENCE_US (20 * TIME_US_PER_S)

/** A device that writes down what it hears: "ann:text " and, of what waited, "ann:text! ". */
struct gadget {
    struct call_device device;
    char heard[4096];
    uint64_t missed_calls, missed_messages;
};

static char folder[64], path[96];
static struct random source;
static struct loop loop;
static struct history *history;
static struct call_directory calls;
static struct messaging messaging;
static int answer_error;
static uint32_t answers;
static char listed[4096];

static void ignore(struct call_device *device, const struct call_event *event)
{
    (void)device;
    (void)event;
}

static void hear(struct call_device *device, const struct user_message *message)
{
    struct gadget *gadget = container_of(device, struct gadget, device);
    size_t length = strlen(gadget->heard);
    snprintf(gadget->heard + length, sizeof(gadget->heard) - length, "%s:%s%s ", message->from,
             message->text, message->missed ? "!" : "");
}

static void hear_missed(struct call_device *device, uint64_t missed_calls, uint64_t messages)
{
    struct gadget *gadget = container_of(device, struct gadget, device);
    gadget->missed_calls = missed_calls;
    gadget->missed_messages = messages;
}

static const struct call_device_ops ops = { .notify = ignore,
                                            .message = hear,
                                            .missed = hear_missed };
static const struct call_device_ops deaf_ops = { .notify = ignore };

static bool is_account(void *owner, const char *name)
{
    (void)owner;
    return strcmp(name, "ann") == 0 || strcmp(name, "ben") == 0;
}

/** Unix milliseconds of the making of ben's account; 0: always. */
static int64_t ben_since_ms;

static int64_t account_since(void *owner, const char *name)
{
    (void)owner;
    return strcmp(name, "ben") == 0 ? ben_since_ms : 0;
}

static void call_ended(void *owner, const struct call_record *record)
{
    (void)owner;
    messaging_call_ended(&messaging, record);
}

static void open_store(bool kept)
{
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct history_config config = { .loop = &loop, .path = path, .per_user_max = 1000 };
    if (kept)
        assert_int_equal(history_open(&config, &history, &problem), 0);
    messaging_init(&messaging, &calls, history, &source);
}

static void close_store(void)
{
    messaging_done(&messaging);
    history = history_close(history);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/roost-messaging-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/history.db", folder);
    random_seeded_init(&source, 3);
    assert_int_equal(loop_init(&loop), 0);
    call_directory_init(&calls, &(struct call_directory_config){ .random = &source,
                                                                 .is_account = is_account,
                                                                 .account_since = account_since,
                                                                 .ended = call_ended });
    open_store(true);
    ben_since_ms = 0;
    answers = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_store();
    call_directory_done(&calls);
    loop_done(&loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    return 0;
}

static void take(const struct history_return *back, const struct history_answer *answer)
{
    (void)back;
    answers++;
    answer_error = answer->error;
    listed[0] = 0;
    for (size_t i = 0; i < answer->count; i++) {
        const struct history_entry *entry = &answer->entries[i];
        size_t length = strlen(listed);
        snprintf(listed + length, sizeof(listed) - length, "%s%s:%s%d%s ",
                 entry->outgoing ? ">" : "<", entry->peer, entry->text, entry->result,
                 entry->missed ? "!" : "");
    }
}

static const struct history_return back = { .done = take };

static void await_count(const uint32_t *value, uint32_t least)
{
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (*value < least && clock_now_us() < end_us)
        loop_turn(&loop, 10 * TIME_US_PER_MS);
    assert_true(*value >= least);
}

/** All that was asked of the store until now is done, and what followed from it. */
static void settle(void)
{
    for (int i = 0; i < 3; i++) {
        uint32_t before = answers;
        assert_int_equal(history_read_missed(history, "nobody", &back), 0);
        await_count(&answers, before + 1);
    }
}

static void enter_as(struct gadget *gadget, const char *user, bool verified,
                     const struct call_device_ops *of)
{
    memset(gadget, 0, sizeof(*gadget));
    call_device_init(&gadget->device, of, CALL_BINDING_NATIVE);
    assert_int_equal(call_device_register(&calls, &gadget->device, user, NULL, verified), 0);
    messaging_arrived(&messaging, &gadget->device);
}

static void enter(struct gadget *gadget, const char *user, bool verified)
{
    enter_as(gadget, user, verified, &ops);
}

static void leave(struct gadget *gadget)
{
    call_device_done(&calls, &gadget->device, 0, CALL_ENDED_HANGUP);
}

static int deliver(struct gadget *from, const char *to, const char *text)
{
    struct messaging_receipt receipt;
    uint32_t before = answers;
    int result = messaging_send(&messaging, &from->device, to, text, &back, &receipt);
    if (result != -EINPROGRESS)
        return result;
    await_count(&answers, before + 1);
    return answer_error;
}

static const char *history_of(struct gadget *gadget, const char *peer)
{
    uint32_t before = answers;
    assert_int_equal(messaging_read(&messaging, &gadget->device,
                                    peer ? HISTORY_MESSAGE : HISTORY_CALL, peer, NULL, 100, &back),
                     0);
    await_count(&answers, before + 1);
    return listed;
}

static void test_all_devices_of_the_receiver_get_it_and_the_others_of_the_sender(void **state)
{
    (void)state;
    struct gadget phone, desk, tab, ben, other;
    enter(&phone, "ann", true);
    enter(&desk, "ann", true);
    enter(&ben, "ben", true);
    enter(&tab, "ben", true);
    enter(&other, "cy", true);
    assert_int_equal(deliver(&ben, "ann", "1"), 0);
    assert_string_equal(phone.heard, "ben:1 ");
    assert_string_equal(desk.heard, "ben:1 ");
    assert_string_equal(tab.heard, "ben:1 ");
    assert_string_equal(ben.heard, "");
    assert_string_equal(other.heard, "");
    assert_string_equal(history_of(&phone, "ben"), "<ben:10 ");
    assert_string_equal(history_of(&ben, "ann"), ">ann:10 ");
    leave(&phone);
    leave(&desk);
    leave(&tab);
    leave(&ben);
    leave(&other);
}

static void test_what_was_missed_comes_once_even_after_a_new_start(void **state)
{
    (void)state;
    struct gadget ann, ben, again;
    enter(&ben, "ben", true);
    assert_int_equal(deliver(&ben, "ann", "1"), 0);
    assert_int_equal(deliver(&ben, "ann", "2"), 0);
    settle();
    close_store();
    open_store(true);
    enter(&ann, "ann", true);
    settle();
    assert_string_equal(ann.heard, "ben:1! ben:2! ");
    assert_int_equal(ann.missed_messages, 2);
    assert_int_equal(ann.missed_calls, 0);
    enter(&again, "ann", true);
    settle();
    assert_string_equal(again.heard, "");
    leave(&ann);
    leave(&again);
    leave(&ben);
}

static void test_two_devices_that_come_at_once_share_one_delivery(void **state)
{
    (void)state;
    struct gadget phone, desk, ben;
    enter(&ben, "ben", true);
    assert_int_equal(deliver(&ben, "ann", "1"), 0);
    enter(&phone, "ann", true);
    enter(&desk, "ann", true);
    settle();
    assert_string_equal(phone.heard, "ben:1! ");
    assert_string_equal(desk.heard, "ben:1! ");
    leave(&phone);
    leave(&desk);
    leave(&ben);
}

static void test_a_device_that_is_gone_before_the_disk_answers_loses_nothing(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ben, "ben", true);
    assert_int_equal(deliver(&ben, "ann", "1"), 0);
    enter(&ann, "ann", true);
    leave(&ann); // the disk is asked already
    settle();
    assert_string_equal(ann.heard, "");
    enter(&ann, "ann", true);
    settle();
    assert_string_equal(ann.heard, "ben:1! ");
    leave(&ann);
    leave(&ben);
}

static void test_an_away_device_gets_it_when_it_is_back(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ann, "ann", true);
    enter(&ben, "ben", true);
    settle();
    call_device_set_away(&calls, &ann.device, true);
    assert_int_equal(deliver(&ben, "ann", "1"), 0);
    assert_string_equal(ann.heard, "");
    call_device_set_away(&calls, &ann.device, false);
    messaging_arrived(&messaging, &ann.device);
    settle();
    assert_string_equal(ann.heard, "ben:1! ");
    leave(&ann);
    leave(&ben);
}

static void test_a_guest_is_written_to_while_it_is_there(void **state)
{
    (void)state;
    struct gadget guest, ann;
    enter(&ann, "ann", true);
    enter(&guest, "gus", false);
    assert_int_equal(deliver(&ann, "gus", "1"), 0);
    assert_string_equal(guest.heard, "ann:1 ");
    call_device_set_away(&calls, &guest.device, true);
    assert_int_equal(deliver(&ann, "gus", "2"), 0); // it may come back
    assert_string_equal(guest.heard, "ann:1 ann:2 ");
    assert_int_equal(
        messaging_read(&messaging, &guest.device, HISTORY_MESSAGE, "ann", NULL, 10, &back),
        -EACCES);
    leave(&guest);
    assert_int_equal(deliver(&ann, "gus", "3"), -ENOENT);
    // what a guest says to somebody waits
    enter(&guest, "gus", false);
    assert_int_equal(deliver(&guest, "ben", "4"), 0);
    assert_string_equal(history_of(&ann, "gus"), ">gus:10 >gus:20 ");
    leave(&guest);
    leave(&ann);
}

static void test_names_that_a_token_vouched_for_are_known_from_then_on(void **state)
{
    (void)state;
    struct gadget cy, ann;
    enter(&ann, "ann", true);
    assert_int_equal(deliver(&ann, "cy", "1"), -ENOENT);
    enter(&cy, "cy", true);
    leave(&cy);
    assert_int_equal(deliver(&ann, "cy", "2"), 0);
    enter(&cy, "cy", true);
    settle();
    assert_string_equal(cy.heard, "ann:2! ");
    leave(&cy);
    leave(&ann);
}

static void test_a_device_without_words_for_messages_leaves_them_waiting(void **state)
{
    (void)state;
    struct gadget deaf, relay, ann, ben;
    enter_as(&deaf, "ben", true, &deaf_ops);
    enter(&relay, "ben", true);
    relay.device.binding = CALL_BINDING_RELAY;
    enter(&ann, "ann", true);
    assert_int_equal(deliver(&ann, "ben", "1"), 0);
    settle();
    enter(&ben, "ben", true);
    settle();
    assert_string_equal(ben.heard, "ann:1! ");
    assert_string_equal(relay.heard, "");
    leave(&deaf);
    leave(&relay);
    leave(&ann);
    leave(&ben);
}

static void test_many_come_in_pages_as_the_device_takes_them(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ben, "ben", true);
    for (int i = 0; i < 150; i++) {
        struct messaging_receipt receipt;
        assert_int_equal(messaging_send(&messaging, &ben.device, "ann", "x", &back, &receipt),
                         -EINPROGRESS);
    }
    await_count(&answers, 150);
    enter(&ann, "ann", true);
    settle();
    assert_int_equal(strlen(ann.heard), 100 * strlen("ben:x! "));
    assert_int_equal(ann.missed_messages, 150);
    assert_true(ann.device.more_waits);
    messaging_give_more(&messaging, &ann.device);
    settle();
    assert_int_equal(strlen(ann.heard), 150 * strlen("ben:x! "));
    assert_false(ann.device.more_waits);
    leave(&ann);
    leave(&ben);
}

static void test_a_new_account_of_an_old_name_does_not_get_what_was_the_old_ones(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ann, "ann", true);
    assert_int_equal(deliver(&ann, "ben", "for the old one"), 0);
    ben_since_ms = (int64_t)(clock_unix_us() / TIME_US_PER_MS) + 1000;
    enter(&ben, "ben", true);
    settle();
    assert_string_equal(ben.heard, "");
    assert_string_equal(history_of(&ben, "ann"), "");
    leave(&ann);
    leave(&ben);
}

static void test_what_did_not_arrive_waits_again(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ann, "ann", true);
    enter(&ben, "ben", true);
    struct messaging_receipt receipt;
    assert_int_equal(messaging_send(&messaging, &ben.device, "ann", "1", &back, &receipt), 0);
    leave(&ann);
    messaging_take_back(&messaging, "ann", receipt.id);
    enter(&ann, "ann", true);
    settle();
    assert_string_equal(ann.heard, "ben:1! ");
    leave(&ann);
    leave(&ben);
}

static void test_calls_are_kept_and_missed_ones_counted_until_they_were_seen(void **state)
{
    (void)state;
    struct gadget ann, ben;
    enter(&ann, "ann", true);
    char id[CALL_ID_SIZE];
    struct call_request request = { .to = "ben", .sdp = "v=0" };
    assert_int_equal(call_start(&calls, &ann.device, 1, &request, id), -ENOENT);
    enter(&ben, "ben", true);
    settle();
    assert_int_equal(ben.missed_calls, 1);
    assert_int_equal(call_start(&calls, &ann.device, 1, &request, id), 0);
    assert_int_equal(call_accept(&calls, &ben.device, 2, id, "v=0"), 0);
    assert_int_equal(call_hangup(&calls, &ben.device, 3, id), 0);
    // unavailable and answered; the callee has seen neither
    assert_string_equal(history_of(&ben, NULL), "<ann:5! <ann:0 ");
    assert_string_equal(history_of(&ann, NULL), ">ben:5 >ben:0 ");
    messaging_calls_seen(&messaging, &ben.device, "~");
    assert_string_equal(history_of(&ben, NULL), "<ann:5 <ann:0 ");
    leave(&ann);
    leave(&ben);
}

static void test_without_a_store_messages_go_to_who_is_there(void **state)
{
    (void)state;
    close_store();
    open_store(false);
    struct gadget ann, ben;
    enter(&ann, "ann", true);
    assert_int_equal(deliver(&ann, "ben", "1"), -ENOENT);
    enter(&ben, "ben", true);
    assert_int_equal(deliver(&ann, "ben", "2"), 0);
    assert_string_equal(ben.heard, "ann:2 ");
    assert_string_equal(history_of(&ben, "ann"), "");
    leave(&ann);
    leave(&ben);
}

static void test_who_may_not_send_is_told(void **state)
{
    (void)state;
    struct gadget ann, nobody, guest;
    memset(&nobody, 0, sizeof(nobody));
    call_device_init(&nobody.device, &ops, CALL_BINDING_NATIVE);
    enter(&ann, "ann", true);
    assert_int_equal(deliver(&nobody, "ann", "1"), -ENOTCONN);
    assert_int_equal(deliver(&ann, "ann", "1"), -EINVAL);
    calls.config.hide_guests = true;
    enter(&guest, "gus", false);
    assert_int_equal(deliver(&guest, "ann", "1"), -EACCES);
    assert_string_equal(ann.heard, "");
    leave(&ann);
    leave(&guest);
}

static void test_ids_sort_whatever_the_clock_does(void **state)
{
    (void)state;
    struct message_ids ids;
    char last[MESSAGE_ID_SIZE] = "", id[MESSAGE_ID_SIZE];
    message_ids_init(&ids, &source, "");
    for (uint64_t i = 0; i < 10000; i++) {
        message_ids_next(&ids, 1700000000000 + (i % 7 == 0 ? i : 0), id);
        assert_true(strcmp(id, last) > 0);
        memcpy(last, id, sizeof(last));
    }
    // those of the next process, whose clock is behind
    message_ids_init(&ids, &source, last);
    message_ids_next(&ids, 5, id);
    assert_true(strcmp(id, last) > 0);
    assert_int_equal(strlen(id), MESSAGE_ID_SIZE - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_devices_of_the_receiver_get_it_and_the_others_of_the_sender),
        TEST(test_what_was_missed_comes_once_even_after_a_new_start),
        TEST(test_two_devices_that_come_at_once_share_one_delivery),
        TEST(test_a_device_that_is_gone_before_the_disk_answers_loses_nothing),
        TEST(test_an_away_device_gets_it_when_it_is_back),
        TEST(test_a_guest_is_written_to_while_it_is_there),
        TEST(test_names_that_a_token_vouched_for_are_known_from_then_on),
        TEST(test_a_device_without_words_for_messages_leaves_them_waiting),
        TEST(test_many_come_in_pages_as_the_device_takes_them),
        TEST(test_a_new_account_of_an_old_name_does_not_get_what_was_the_old_ones),
        TEST(test_what_did_not_arrive_waits_again),
        TEST(test_calls_are_kept_and_missed_ones_counted_until_they_were_seen),
        TEST(test_without_a_store_messages_go_to_who_is_there),
        TEST(test_who_may_not_send_is_told),
        TEST(test_ids_sort_whatever_the_clock_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
