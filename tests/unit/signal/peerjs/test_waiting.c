// How much may wait for peers that are not there: nobody's messages take the room of others'.
#include "peerjs_harness.h"

/** Senders enough to fill whatever one of them cannot fill alone. */
#define SENDERS 40

struct crowd {
    struct client clients[SENDERS];
};

static struct crowd *crowd_enter(void)
{
    // the bucket is not what is looked at here
    world_stop();
    world_start(&(struct peerjs_config){ .message_rate = 1000000, .message_burst = 1000000 });
    struct crowd *crowd = memory_new(struct crowd);
    for (unsigned i = 0; i < SENDERS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "peer-%u", i);
        client_enter(&crowd->clients[i], id);
    }
    return crowd;
}

static void crowd_leave(struct crowd *crowd)
{
    for (unsigned i = 0; i < SENDERS; i++)
        client_leave(&crowd->clients[i], 1001);
    assert_int_equal(signal_peerjs_deadline(world.peerjs), TIME_NEVER);
    free(crowd);
}

/** A data connection's offer of about `size` bytes. Returns whether it waits. */
static bool waits(struct client *client, const char *to, size_t size)
{
    char *label = memory_allocate(1, size + 1);
    memset(label, 'x', size);
    json_t *message = data_message("OFFER", to, "dc_1");
    json_object_set_new(payload_of(message), "label", json_string(label));
    free(label);
    size_t before = client->count;
    client_say(client, message);
    if (client->count == before)
        return true;
    client_hears(client, "EXPIRE");
    return false;
}

/** As many as may wait, from all of them in turn, at most `most`. */
static unsigned fill(struct crowd *crowd, const char *to, size_t size, unsigned most)
{
    unsigned count = 0;
    for (unsigned i = 0; count < most && waits(&crowd->clients[i % SENDERS], to, size); i++)
        count++;
    return count;
}

static void test_one_receiver_leaves_room_for_others(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_enter();
    // in number
    assert_int_equal(fill(crowd, "popular", 10, 100000), 512);
    assert_int_equal(dropped("receiver_full"), 1);
    assert_true(waits(&crowd->clients[0], "other", 10));
    // and in bytes
    unsigned large = fill(crowd, "large", 20000, 100000);
    assert_true(large >= 45 && large <= 52);
    assert_int_equal(dropped("receiver_full"), 2);
    assert_true(waits(&crowd->clients[0], "other", 20000));
    assert_int_equal(dropped("full"), 0);
    // who goes takes along what it said, in number and in bytes
    assert_false(waits(&crowd->clients[1], "popular", 10));
    assert_false(waits(&crowd->clients[1], "large", 20000));
    client_leave(&crowd->clients[0], 1001);
    client_enter(&crowd->clients[0], "peer-0");
    assert_true(waits(&crowd->clients[1], "popular", 10));
    assert_true(waits(&crowd->clients[1], "large", 20000));
    // what was delivered or is over makes room again
    struct client popular;
    client_enter(&popular, "popular");
    while (client_next(&popular))
        ;
    client_leave(&popular, 1001);
    world_pass(6 * S);
    for (unsigned i = 0; i < SENDERS; i++) {
        while (client_next(&crowd->clients[i]))
            ;
    }
    assert_int_equal(fill(crowd, "popular", 10, 100000), 512);
    assert_int_equal(fill(crowd, "large", 20000, 100000), large);
    crowd_leave(crowd);
}

static void test_one_sender_leaves_room_for_others(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_enter();
    char to[32];
    unsigned count = 0;
    do
        snprintf(to, sizeof(to), "absent-%u", count);
    while (waits(&crowd->clients[0], to, 10) && ++count < 1000);
    assert_int_equal(count, 128);
    count = 0;
    do
        snprintf(to, sizeof(to), "absent-%u", count);
    while (waits(&crowd->clients[1], to, 40000) && ++count < 1000);
    assert_true(count >= 11 && count <= 13);
    assert_int_equal(dropped("sender_full"), 2);
    assert_true(waits(&crowd->clients[2], "absent-0", 40000));
    crowd_leave(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_one_receiver_leaves_room_for_others),
        TEST(test_one_sender_leaves_room_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
