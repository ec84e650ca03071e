// Data both ways: Send and Data indications (RFC 8656 section 11), ChannelData (section 12), ICMP
// (section 11.5), peers inside this process, bandwidth.
#include "support/check.h"
#include "support/turn_client.h"

#define PEER  "46.4.0.9:1000"
#define PEER6 "[2a02:8108::9]:1000"

static struct turn_world world;

static int teardown(void **state)
{
    (void)state;
    turn_world_done(&world);
    return 0;
}

/** With an allocation of both families, a permission for PEER and PEER6. */
static struct turn_client alice(const struct turn_world_options *options,
                                enum turn_transport transport)
{
    turn_world_init(&world, options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", transport);
    ensure(turn_client_allocate_dual(&client) == 0);
    ensure(turn_client_permit(&client, PEER) == 0);
    ensure(turn_client_permit(&client, PEER6) == 0);
    return client;
}

static void a_send_indication_goes_to_its_peer(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    assert_true(turn_client_send(&client, PEER, "hello"));
    struct net_address peer = turn_world_address(PEER);
    assert_true(net_address_equal(&client.forward.peer, &peer));
    assert_true(text_equal(client.forward.payload, "hello"));
    assert_ptr_equal(client.forward.relay, turn_client_relay(&client, 0));
    assert_int_equal(client.forward.place, TURN_PLACE_OUTSIDE);
    assert_false(client.forward.dont_fragment);
    assert_true(turn_client_send(&client, PEER6, "six"));
    assert_ptr_equal(client.forward.relay, turn_client_relay(&client, 1));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_PACKETS_TO_PEER), 2);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_BYTES_TO_PEER), 8);
}

static void a_send_indication_may_be_empty(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    assert_true(turn_client_send(&client, PEER, ""));
    assert_int_equal(client.forward.payload.size, 0);
}

static void a_send_indication_without_data_or_peer_is_dropped_in_silence(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    size_t sent = world.sent_count;
    turn_client_start_class(&client, STUN_INDICATION, STUN_SEND);
    turn_client_peer(&client, PEER);
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    turn_client_start_class(&client, STUN_INDICATION, STUN_SEND);
    stun_write_bytes(&client.writer, STUN_DATA_ATTRIBUTE, bytes_of_text("x"));
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    assert_int_equal(world.sent_count, sent);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_MALFORMED), 2);
}

static void a_send_indication_without_permission_is_dropped_and_makes_none(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    size_t sent = world.sent_count;
    assert_false(turn_client_send(&client, "46.4.0.99:1", "x"));
    assert_false(turn_client_send(&client, "46.4.0.99:1", "x"));
    assert_int_equal(world.sent_count, sent);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_NO_PERMISSION), 2);
}

static void a_send_indication_without_allocation_is_dropped_in_silence(void **state)
{
    (void)state;
    alice(NULL, TURN_UDP);
    struct turn_client other = turn_client_of(&world, "203.1.2.3:5001", TURN_UDP);
    size_t sent = world.sent_count;
    assert_false(turn_client_send(&other, PEER, "x"));
    assert_false(turn_client_channel(&other, 0x4000, "x"));
    assert_int_equal(world.sent_count, sent);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_NO_ALLOCATION), 2);
}

static void dont_fragment_of_a_send_indication_is_passed_on(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    turn_client_start_class(&client, STUN_INDICATION, STUN_SEND);
    turn_client_peer(&client, PEER);
    stun_write_flag(&client.writer, STUN_DONT_FRAGMENT);
    stun_write_bytes(&client.writer, STUN_DATA_ATTRIBUTE, bytes_of_text("x"));
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_FORWARD);
    assert_true(client.forward.dont_fragment);
}

static void an_unknown_required_attribute_drops_an_indication(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    size_t sent = world.sent_count;
    turn_client_start_class(&client, STUN_INDICATION, STUN_SEND);
    turn_client_peer(&client, PEER);
    stun_write_flag(&client.writer, 0x7f01);
    stun_write_bytes(&client.writer, STUN_DATA_ATTRIBUTE, bytes_of_text("x"));
    assert_int_equal(turn_client_give(&client, turn_client_finish(&client)), TURN_DONE);
    assert_int_equal(world.sent_count, sent);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_UNKNOWN_ATTRIBUTE), 1);
}

/** What the client gets: header, payload of 'd', padding. */
static struct bytes delivered(const struct turn_deliver *deliver, size_t size)
{
    static uint8_t message[2000];
    memcpy(message, deliver->header, deliver->header_size);
    memset(message + deliver->header_size, 'd', size);
    memset(message + deliver->header_size + size, 0, deliver->padding);
    return bytes_of(message, deliver->header_size + size + deliver->padding);
}

static void check_data_indication(struct turn_client *client, const char *peer, size_t size)
{
    struct turn_deliver deliver;
    struct stun_message message;
    struct net_address from, expected = turn_world_address(peer);
    struct bytes data;
    assert_true(turn_peer_send(client, peer, size, &deliver));
    assert_int_equal(stun_message_parse(delivered(&deliver, size), &message), 0);
    assert_int_equal(message.class, STUN_INDICATION);
    assert_int_equal(message.method, STUN_DATA);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &from), 0);
    assert_true(net_address_equal(&from, &expected));
    assert_true(stun_message_find(&message, STUN_DATA_ATTRIBUTE, &data));
    assert_int_equal(data.size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data.data[i], 'd');
}

static void a_peers_datagram_comes_as_data_indication(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    for (size_t size = 0; size < 9; size++) {
        check_data_indication(&client, PEER, size);
        check_data_indication(&client, PEER6, size);
    }
    check_data_indication(&client, PEER, 1200);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_PACKETS_TO_CLIENT), 19);
}

static void a_peer_without_permission_is_not_heard(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    struct turn_deliver deliver;
    assert_false(turn_peer_send(&client, "46.4.0.99:1000", 10, &deliver));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_NO_PERMISSION), 1);
}

static void channel_data_is_padded_on_streams_only(void **state)
{
    (void)state;
    for (enum turn_transport transport = 0; transport < TURN_TRANSPORTS; transport++) {
        struct turn_client client = alice(NULL, transport);
        struct turn_deliver deliver;
        bool stream = transport == TURN_TCP || transport == TURN_TLS;
        assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
        for (size_t size = 0; size < 9; size++) {
            assert_true(turn_peer_send(&client, PEER, size, &deliver));
            assert_int_equal(deliver.header_size, 4);
            assert_int_equal(load_u16(deliver.header + 2), size);
            assert_int_equal(deliver.padding, stream ? (4 - size % 4) % 4 : 0);
        }
        if (transport + 1 < TURN_TRANSPORTS)
            turn_world_done(&world);
    }
}

static enum turn_verdict give_channel_data(struct turn_client *client, uint16_t number,
                                           uint16_t length, size_t size)
{
    uint8_t message[64] = { 0 };
    store_u16(message, number);
    store_u16(message + 2, length);
    return turn_client_give(client, bytes_of(message, size));
}

static void the_length_of_channel_data_is_checked(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(give_channel_data(&client, 0x4000, 5, 9), TURN_FORWARD);
    assert_int_equal(client.forward.payload.size, 5);
    assert_int_equal(give_channel_data(&client, 0x4000, 5, 12), TURN_FORWARD); // padded
    assert_int_equal(client.forward.payload.size, 5);
    assert_int_equal(give_channel_data(&client, 0x4000, 0, 4), TURN_FORWARD);
    assert_int_equal(client.forward.payload.size, 0);
    assert_int_equal(give_channel_data(&client, 0x4000, 6, 9), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x4000, 0xffff, 9), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x4000, 4, 12), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x4000, 0, 3), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x4000, 0, 0), TURN_DONE);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_MALFORMED), 5);
}

static void channel_data_of_an_unbound_or_reserved_number_is_dropped(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    size_t sent = world.sent_count;
    assert_int_equal(give_channel_data(&client, 0x4000, 0, 4), TURN_DONE);
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    assert_int_equal(give_channel_data(&client, 0x4001, 0, 4), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x5000, 0, 4), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0x8000, 0, 4), TURN_DONE);
    assert_int_equal(give_channel_data(&client, 0xffff, 0, 4), TURN_DONE);
    assert_int_equal(world.sent_count, sent + 1); // the answer to ChannelBind
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_NO_CHANNEL), 5);
}

static void what_is_too_large_for_an_indication_is_dropped(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_TCP);
    struct turn_deliver deliver;
    assert_true(turn_peer_send(&client, PEER, 65400, &deliver));
    assert_int_equal(load_u16(deliver.header + 2), 16 + 65400);
    assert_false(turn_peer_send(&client, PEER, 65500, &deliver));
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_TOO_LARGE), 1);
}

static void icmp(struct turn_client *client, const char *peer, uint8_t type, uint8_t code,
                 uint32_t data)
{
    struct net_address address = turn_world_address(peer);
    struct turn_relay *relay = turn_client_relay(client, address.family == NET_IPV6);
    turn_world_pass(&world, time_from_s(1));
    turn_server_peer_icmp(world.server, world.now_us, relay, &address, type, code, data);
}

static void check_icmp(const char *peer, uint8_t type, uint8_t code, uint32_t data)
{
    struct stun_message message;
    struct net_address from, expected = turn_world_address(peer);
    struct bytes value;
    const struct turn_sent *sent = turn_world_sent(&world, 0);
    assert_int_equal(stun_message_parse(bytes_of(sent->data, sent->size), &message), 0);
    assert_int_equal(message.class, STUN_INDICATION);
    assert_int_equal(message.method, STUN_DATA);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &from), 0);
    assert_true(net_address_equal(&from, &expected));
    assert_false(stun_message_find(&message, STUN_DATA_ATTRIBUTE, &value));
    assert_true(stun_message_find(&message, STUN_ICMP, &value));
    assert_int_equal(value.size, 8);
    assert_int_equal(load_u16(value.data), 0);
    assert_int_equal(load_u16(value.data + 2) >> 9, type); // 7 bits and 9 bits
    assert_int_equal(load_u16(value.data + 2) & 0x1ff, code);
    assert_int_equal(load_u32(value.data + 4), data);
}

static void icmp_errors_are_told_with_the_mtu_where_there_is_one(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    icmp(&client, PEER, 3, 3, 99);
    check_icmp(PEER, 3, 3, 0);
    icmp(&client, PEER, 3, 4, 1400);
    check_icmp(PEER, 3, 4, 1400);
    icmp(&client, PEER, 11, 0, 99);
    check_icmp(PEER, 11, 0, 0);
    icmp(&client, PEER6, 2, 0, 1280);
    check_icmp(PEER6, 2, 0, 1280);
    icmp(&client, PEER6, 1, 4, 99);
    check_icmp(PEER6, 1, 4, 0);
    icmp(&client, PEER6, 3, 0, 99);
    check_icmp(PEER6, 3, 0, 0);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_ICMP), 6);
}

static void icmp_of_other_types_and_of_peers_without_permission_is_not(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    size_t sent = world.sent_count;
    icmp(&client, PEER, 0, 0, 0);
    icmp(&client, PEER, 5, 1, 0);
    icmp(&client, PEER6, 4, 0, 0);
    icmp(&client, PEER6, 129, 0, 0);
    icmp(&client, "46.4.0.99:1", 3, 3, 0);
    assert_int_equal(world.sent_count, sent);
}

static void a_flood_of_icmp_is_cut(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    struct net_address peer = turn_world_address(PEER);
    size_t sent = world.sent_count;
    for (int i = 0; i < 1000; i++) {
        world.now_us += 100;
        turn_server_peer_icmp(world.server, world.now_us, turn_client_relay(&client, 0), &peer, 3,
                              3, 0);
    }
    assert_int_equal(world.sent_count, sent + 5); // in 100 ms
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_TOO_MANY_ICMP), 995);
}

/** Our media server, at our own address. */
static struct turn_world_options with_media(void)
{
    struct turn_world_options options = { 0 };
    options.settings.media[0] = turn_world_address("51.15.0.1:3478");
    options.settings.media_count = 1;
    return options;
}

static void our_media_server_is_reached_without_a_socket(void **state)
{
    (void)state;
    const struct turn_world_options options = with_media();
    turn_world_init(&world, &options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct turn_deliver deliver;
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_permit(&client, "51.15.0.1:3478"), 0);
    assert_true(turn_client_send(&client, "51.15.0.1:3478", "stun"));
    assert_int_equal(client.forward.place, TURN_PLACE_MEDIA);
    assert_int_equal(turn_client_bind(&client, 0x4000, "51.15.0.1:3478"), 0);
    assert_true(turn_client_channel(&client, 0x4000, "rtp"));
    assert_int_equal(client.forward.place, TURN_PLACE_MEDIA);
    assert_true(turn_peer_send(&client, "51.15.0.1:3478", 100, &deliver));
    assert_int_equal(world.opened, 0);
}

static void another_port_of_ours_is_not_reached(void **state)
{
    (void)state;
    const struct turn_world_options options = with_media();
    turn_world_init(&world, &options);
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    assert_int_equal(turn_client_allocate(&client), 0);
    assert_int_equal(turn_client_permit(&client, "51.15.0.1:3478"), 0);
    assert_false(turn_client_send(&client, "51.15.0.1:22", "ssh"));
    assert_false(turn_client_send(&client, "51.15.0.1:50001", "nobody"));
    assert_int_equal(turn_client_bind(&client, 0x4000, "51.15.0.1:22"), 403);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_PEER_OWN), 2);
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.refused, 1);
}

static void check_relay_to_relay(void)
{
    struct turn_client one = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct turn_client two = turn_client_of(&world, "198.99.1.1:7000", TURN_TCP);
    char one_text[NET_ADDRESS_TEXT_MAX], two_text[NET_ADDRESS_TEXT_MAX];
    struct turn_deliver deliver;
    assert_int_equal(turn_client_allocate(&one), 0);
    assert_int_equal(turn_client_allocate(&two), 0);
    net_address_format(&one.relayed[0], one_text);
    net_address_format(&two.relayed[0], two_text);
    assert_int_equal(turn_client_bind(&one, 0x4000, two_text), 0);
    assert_int_equal(turn_client_permit(&two, one_text), 0);
    assert_true(turn_client_channel(&one, 0x4000, "hello"));
    assert_int_equal(one.forward.place, TURN_PLACE_RELAY);
    assert_int_equal(one.forward.worker, world.options.worker);
    // what the caller does then
    struct turn_relay *to = turn_server_find_relay(world.server, &one.forward.peer);
    assert_ptr_equal(to, turn_client_relay(&two, 0));
    assert_int_equal(turn_server_peer_input(world.server, world.now_us, to,
                                            &one.forward.relay->told, 5, &deliver),
                     TURN_FORWARD);
    assert_true(net_path_equal(&deliver.client->path, &two.source.path));
    assert_true(turn_client_send(&two, one_text, "back"));
    assert_int_equal(two.forward.place, TURN_PLACE_RELAY);
    // without it the way is closed again, and leads nowhere else
    assert_int_equal(turn_client_refresh(&two, 0), 0);
}

static void another_allocation_is_reached_without_a_socket(void **state)
{
    (void)state;
    turn_world_init(&world, &(struct turn_world_options){ .worker = 2, .worker_count = 4 });
    check_relay_to_relay();
    assert_int_equal(world.opened, 0);
}

static void
another_allocation_is_reached_in_the_process_when_rules_allow_the_address_too(void **state)
{
    (void)state;
    turn_world_init(&world, &(struct turn_world_options){ .own_relays_allowed = true });
    check_relay_to_relay();
}

static void an_allocation_of_another_worker_is_named(void **state)
{
    (void)state;
    turn_world_init(&world, &(struct turn_world_options){ .worker = 0, .worker_count = 2 });
    struct turn_client one = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    struct net_address elsewhere = turn_world_address(TURN_WORLD_IPV4);
    char text[NET_ADDRESS_TEXT_MAX];
    assert_int_equal(turn_client_allocate(&one), 0);
    assert_int_equal(
        turn_ports_take(world.ports, 0, TURN_PORT_ANY, 1, &world.random, &elsewhere.port, NULL), 0);
    assert_int_equal(turn_client_permit(&one, net_address_format(&elsewhere, text)), 0);
    assert_true(turn_client_send(&one, text, "x"));
    assert_int_equal(one.forward.place, TURN_PLACE_RELAY);
    assert_int_equal(one.forward.worker, 1);
    assert_null(turn_server_find_relay(world.server, &elsewhere));
    turn_ports_give_back(world.ports, 0, elsewhere.port);
    assert_false(turn_client_send(&one, text, "x"));
}

static void relays_are_found_by_both_of_their_addresses(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    struct turn_relay *relay = turn_client_relay(&client, 0);
    assert_non_null(relay);
    assert_ptr_equal(turn_server_find_relay(world.server, &relay->bind), relay);
    struct net_address other = relay->told;
    other.port ^= 1;
    assert_null(turn_server_find_relay(world.server, &other));
    other = turn_world_address("46.4.0.9:0");
    other.port = relay->told.port;
    assert_null(turn_server_find_relay(world.server, &other));
}

static void bandwidth_above_the_limit_is_dropped_and_comes_back(void **state)
{
    (void)state;
    struct turn_client client =
        alice(&(struct turn_world_options){ .limits = { .bytes_per_s_per_user = 1000 } }, TURN_UDP);
    struct turn_deliver deliver;
    int passed = 0;
    assert_int_equal(turn_client_bind(&client, 0x4000, PEER), 0);
    for (int i = 0; i < 20; i++)
        passed += turn_peer_send(&client, PEER, 200, &deliver);
    assert_in_range(passed, 4, 6);
    assert_int_equal(turn_world_metric(&world, TURN_METRIC_DROPPED_BANDWIDTH), 20 - passed);
    turn_world_pass_s(&world, 2);
    assert_true(turn_peer_send(&client, PEER, 200, &deliver));
    assert_true(turn_client_channel(&client, 0x4000, "both ways count"));
}

static void a_limit_set_later_is_noticed(void **state)
{
    (void)state;
    struct turn_client client = alice(NULL, TURN_UDP);
    struct turn_deliver deliver;
    assert_true(turn_peer_send(&client, PEER, 60000, &deliver));
    turn_quota_set_limits(world.quota, &(struct turn_quota_limits){ .bytes_per_s = 100 });
    turn_world_pass_s(&world, 2);
    int passed = 0;
    for (int i = 0; i < 10; i++)
        passed += turn_peer_send(&client, PEER, 100, &deliver);
    assert_in_range(passed, 0, 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_send_indication_goes_to_its_peer),
        TEST(a_send_indication_may_be_empty),
        TEST(a_send_indication_without_data_or_peer_is_dropped_in_silence),
        TEST(a_send_indication_without_permission_is_dropped_and_makes_none),
        TEST(a_send_indication_without_allocation_is_dropped_in_silence),
        TEST(dont_fragment_of_a_send_indication_is_passed_on),
        TEST(an_unknown_required_attribute_drops_an_indication),
        TEST(a_peers_datagram_comes_as_data_indication),
        TEST(a_peer_without_permission_is_not_heard),
        TEST(channel_data_is_padded_on_streams_only),
        TEST(the_length_of_channel_data_is_checked),
        TEST(channel_data_of_an_unbound_or_reserved_number_is_dropped),
        TEST(what_is_too_large_for_an_indication_is_dropped),
        TEST(icmp_errors_are_told_with_the_mtu_where_there_is_one),
        TEST(icmp_of_other_types_and_of_peers_without_permission_is_not),
        TEST(a_flood_of_icmp_is_cut),
        TEST(our_media_server_is_reached_without_a_socket),
        TEST(another_port_of_ours_is_not_reached),
        TEST(another_allocation_is_reached_without_a_socket),
        TEST(another_allocation_is_reached_in_the_process_when_rules_allow_the_address_too),
        TEST(an_allocation_of_another_worker_is_named),
        TEST(relays_are_found_by_both_of_their_addresses),
        TEST(bandwidth_above_the_limit_is_dropped_and_comes_back),
        TEST(a_limit_set_later_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
