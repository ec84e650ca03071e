// How soon a member that joins gets its first packets, and that none is sent for nothing.
#include "sim/world.h"
#include "support/check.h"

#define ONE_WAY_US (5 * TIME_US_PER_MS)
/** The world's steps, and the server's ticks between two looks at those who wait. */
#define STEP_US 1000
#define TICK_US 5000

enum { SOUND, PICTURE, DATA };

/** A room in which a voice and a picture are sent, and one who joins it. */
struct join {
    struct world *world;
    struct world_client *member;
    uint64_t keys_us;     /**< when the server had them */
    uint64_t first_us[2]; /**< when the member got the first packet of each section; 0: not yet */
};

static void note_first(void *owner, uint16_t section, struct packet *packet unused)
{
    struct join *join = owner;
    if (join->first_us[section] == 0)
        join->first_us[section] = network_now(join->world->net);
}

/** Browsers that only receive report late: until then nothing of theirs is RTP or RTCP. */
static enum network_verdict lose_reports(void *owner unused, uint64_t now_us unused,
                                         const struct net_path *path unused, uint8_t *data,
                                         size_t size)
{
    return size > 0 && data[0] >= 128 && data[0] <= 191 ? NETWORK_DROP : NETWORK_PASS;
}

static void set_up(struct join *join)
{
    *join = (struct join){ .world = world_new(43) };
    struct world_client *publisher = world_add_client(join->world, 0);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    world_add_section(publisher, RTC_KIND_VIDEO, true);
    world_negotiate(publisher);
    assert_true(world_connect(join->world, time_from_s(5)));
    publisher->publishing = true;
    network_run(join->world->net, time_from_ms(800));
    join->member = world_add_client(join->world, 0);
    world_add_section(join->member, RTC_KIND_AUDIO, false);
    world_add_section(join->member, RTC_KIND_VIDEO, false);
    join->member->take = note_first;
    join->member->taker = join;
}

/** Joins, until the server has keys. */
static void connect(struct join *join)
{
    struct network *net = join->world->net;
    struct world_client *member = join->member;
    world_negotiate(member);
    struct network_pipe_config pipe = { .delay_us = ONE_WAY_US };
    network_pipe_set(network_downlink(member->endpoint), &pipe);
    pipe.filter = lose_reports;
    network_pipe_set(network_uplink(member->endpoint), &pipe);
    world_show(member, SOUND, &join->world->clients[0], SOUND);
    world_show(member, PICTURE, &join->world->clients[0], PICTURE);
    for (int i = 0; i < 1000 && !member->server_connected; i++)
        network_run(net, STEP_US);
    assert_true(member->server_connected);
    join->keys_us = network_now(net);
}

static void expect_first(const struct join *join, int section, uint64_t from_us, uint64_t to_us)
{
    assert_in_range(join->first_us[section], join->keys_us + from_us - STEP_US,
                    join->keys_us + to_us + STEP_US);
}

static void test_a_member_with_data_channels_gets_sound_and_picture_at_once(void **state)
{
    (void)state;
    struct join join;
    set_up(&join);
    world_add_section(join.member, RTC_KIND_DATA, false);
    connect(&join);
    network_run(join.world->net, time_from_ms(100));
    // sound behind the last flight of the handshake; the picture when SCTP's INIT has come back
    expect_first(&join, SOUND, ONE_WAY_US, ONE_WAY_US);
    expect_first(&join, PICTURE, 3 * ONE_WAY_US, 3 * ONE_WAY_US);
    assert_int_equal(join.world->clients[0].key_frames_asked, 0);
    world_free(join.world);
}

static void test_a_viewer_that_says_nothing_gets_the_picture_a_moment_later(void **state)
{
    (void)state;
    struct join join;
    set_up(&join);
    connect(&join);
    network_run(join.world->net, time_from_ms(100));
    expect_first(&join, PICTURE, time_from_ms(40) + ONE_WAY_US,
                 time_from_ms(40) + ONE_WAY_US + TICK_US);
    world_free(join.world);
}

static void test_a_server_of_dtls_has_its_keys_before_we_have_ours(void **state)
{
    (void)state;
    struct join join;
    set_up(&join);
    join.member->offer.passive = true;
    connect(&join);
    network_run(join.world->net, time_from_ms(100));
    expect_first(&join, PICTURE, ONE_WAY_US, ONE_WAY_US);
    world_free(join.world);
}

static void test_what_a_paused_voice_said_last_is_not_said_again(void **state)
{
    (void)state;
    struct join join;
    set_up(&join);
    join.world->clients[0].publishing = false;
    network_run(join.world->net, time_from_ms(100));
    connect(&join);
    network_run(join.world->net, time_from_ms(500));
    assert_int_equal(join.first_us[SOUND], 0);
    join.world->clients[0].publishing = true;
    network_run(join.world->net, time_from_ms(100));
    assert_int_not_equal(join.first_us[SOUND], 0);
    const struct world_received *sound = &join.member->received[SOUND];
    assert_int_equal(sound->distinct, sound->newest - sound->oldest + 1);
    world_free(join.world);
}

static void test_a_voice_that_is_not_among_the_loudest_says_nothing_to_a_joiner(void **state)
{
    (void)state;
    struct join join;
    set_up(&join);
    struct world_client *quiet = &join.world->clients[0];
    struct world_client *loud = world_add_client(join.world, 0);
    world_add_section(loud, RTC_KIND_AUDIO, true);
    world_negotiate(loud);
    network_run(join.world->net, time_from_s(1));
    assert_true(loud->server_connected);
    loud->publishing = true;
    loud->audio_level = 30;
    quiet->audio_level = 127;
    world_group(loud, 0, 1);
    world_group(quiet, 0, 1);
    network_run(join.world->net, time_from_s(2));
    connect(&join);
    network_run(join.world->net, time_from_ms(500));
    assert_int_equal(join.first_us[SOUND], 0);
    assert_int_not_equal(join.first_us[PICTURE], 0);
    world_free(join.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_member_with_data_channels_gets_sound_and_picture_at_once),
        cmocka_unit_test(test_a_viewer_that_says_nothing_gets_the_picture_a_moment_later),
        cmocka_unit_test(test_a_server_of_dtls_has_its_keys_before_we_have_ours),
        cmocka_unit_test(test_what_a_paused_voice_said_last_is_not_said_again),
        cmocka_unit_test(test_a_voice_that_is_not_among_the_loudest_says_nothing_to_a_joiner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
