// The RFC 5780 server on real sockets: 127.0.0.1 and 127.0.0.2, a shared and a second port.
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/stun/stun_binding.h"
#include "proto/turn/turn_quota.h"
#include "runtime/clock.h"
#include "server/turn_nat_discovery.h"

#define DEADLINE_US 60000000u

struct live {
    struct loop loop;
    struct udp_socket *socket; // the shared port
    struct turn_nat_discovery *discovery;
    struct turn_nat_discovery_config config;
    uint32_t plain; // requests that were for no address of the discovery
    int client;
    struct net_address client_address;
    uint8_t answer[2048];
    struct stun_message message;
    struct net_address from; // where the answer came from
};

static void received(void *owner, struct udp_socket *socket unused,
                     const struct udp_datagram *datagrams, size_t count)
{
    struct live *live = owner;
    for (size_t i = 0; i < count; i++)
        live->plain += !turn_nat_discovery_input(live->discovery, &datagrams[i]);
}

static int open_client(struct net_address *ret_address)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(any);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    *ret_address = net_address_ipv4(127, 0, 0, 1, ntohs(any.sin_port));
    return fd;
}

static void begin(struct live *live, bool bound, struct turn_quota *quota)
{
    *live = (struct live){ 0 };
    assert_int_equal(loop_init(&live->loop), 0);
    struct udp_config config = { .first_of_port = true, .ipv4_only = true };
    if (bound)
        config.bind = net_address_ipv4(127, 0, 0, 1, 0);
    static const struct udp_ops ops = { .received = received };
    assert_int_equal(udp_socket_open(&config, &live->loop, &ops, live, &live->socket), 0);
    live->config = (struct turn_nat_discovery_config){
        .loop = &live->loop,
        .socket = live->socket,
        .socket_is_bound = bound,
        .addresses = { net_address_ipv4(127, 0, 0, 1, 0), net_address_ipv4(127, 0, 0, 2, 0) },
        .first = true,
        .quota = quota,
    };
    assert_int_equal(turn_nat_discovery_new(&live->config, &live->discovery), 0);
    live->client = open_client(&live->client_address);
}

static void done(struct live *live)
{
    live->discovery = turn_nat_discovery_free(live->discovery);
    udp_socket_close(live->socket);
    loop_done(&live->loop);
    close(live->client);
}

static struct net_address address_of(const struct live *live, unsigned socket)
{
    uint8_t last = socket & STUN_BINDING_OTHER_IP ? 2 : 1;
    return net_address_ipv4(127, 0, 0, last,
                            socket & STUN_BINDING_OTHER_PORT
                                ? turn_nat_discovery_port(live->discovery)
                                : udp_socket_port(live->socket));
}

static void send_to(int fd, const struct net_address *to, const void *data, size_t size)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(to->port) };
    memcpy(&address.sin_addr, to->ip, 4);
    assert_int_equal(sendto(fd, data, size, 0, (struct sockaddr *)&address, sizeof(address)), size);
}

static void ask(struct live *live, const struct net_address *to, uint16_t type, struct bytes value)
{
    static const uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 1 };
    uint8_t request[2048];
    struct stun_writer writer;
    stun_writer_start(&writer, request, sizeof(request), STUN_REQUEST, STUN_BINDING, id);
    if (type)
        stun_write_bytes(&writer, type, value);
    send_to(live->client, to, request, stun_writer_finish(&writer));
}

static void take(struct live *live, int fd)
{
    uint64_t give_up_us = clock_now_us() + DEADLINE_US;
    struct sockaddr_in from;
    ssize_t size;
    socklen_t from_size = sizeof(from);
    while ((size = recvfrom(fd, live->answer, sizeof(live->answer), 0, (struct sockaddr *)&from,
                            &from_size)) < 0) {
        assert_true(clock_now_us() < give_up_us);
        loop_turn(&live->loop, 1000);
        from_size = sizeof(from);
    }
    assert_int_equal(stun_message_parse(bytes_of(live->answer, (size_t)size), &live->message), 0);
    assert_int_equal(live->message.class, STUN_SUCCESS);
    live->from = (struct net_address){ .family = NET_IPV4, .port = ntohs(from.sin_port) };
    memcpy(live->from.ip, &from.sin_addr, 4);
}

static void assert_told(const struct live *live, uint16_t type, const struct net_address *expected)
{
    struct net_address told;
    assert_int_equal(stun_message_find_address(&live->message, type, &told), 0);
    assert_true(net_address_equal(&told, expected));
}

static void check_all_ways(bool bound)
{
    struct live live;
    begin(&live, bound, NULL);
    for (unsigned socket = 0; socket < STUN_BINDING_SOCKETS; socket++) {
        for (unsigned change = 0; change < STUN_BINDING_SOCKETS; change++) {
            uint8_t flags[4] = { [3] = (uint8_t)(change << 1) };
            struct net_address to = address_of(&live, socket);
            ask(&live, &to, STUN_CHANGE_REQUEST, bytes_of(flags, sizeof(flags)));
            take(&live, live.client);
            struct net_address origin = address_of(&live, socket ^ change);
            struct net_address other = address_of(&live, socket ^ 3);
            assert_true(net_address_equal(&live.from, &origin));
            assert_told(&live, STUN_RESPONSE_ORIGIN, &origin);
            assert_told(&live, STUN_OTHER_ADDRESS, &other);
            assert_told(&live, STUN_XOR_MAPPED_ADDRESS, &live.client_address);
        }
    }
    assert_int_equal(live.plain, 0);
    done(&live);
}

/** "Change IP" is bit 4 and "change port" bit 2: the numbers of sockets, shifted by one. */
static void test_answers_come_from_the_address_asked_for(void **state)
{
    (void)state;
    check_all_ways(false);
}

static void test_a_shared_port_bound_to_one_address_is_completed(void **state)
{
    (void)state;
    check_all_ways(true);
}

static void test_response_port_reaches_another_socket(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    struct net_address other_address;
    int other = open_client(&other_address);
    uint8_t port[4] = { (uint8_t)(other_address.port >> 8), (uint8_t)other_address.port };
    struct net_address to = address_of(&live, 0);
    ask(&live, &to, STUN_RESPONSE_PORT, bytes_of(port, sizeof(port)));
    take(&live, other);
    assert_told(&live, STUN_XOR_MAPPED_ADDRESS, &live.client_address);
    close(other);
    done(&live);
}

static void test_padding_makes_a_large_answer(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    static const uint8_t zeros[STUN_BINDING_PADDING_MAX];
    struct net_address to = address_of(&live, STUN_BINDING_OTHER_PORT);
    ask(&live, &to, STUN_PADDING, bytes_of(zeros, sizeof(zeros)));
    take(&live, live.client);
    assert_true(live.message.bytes.size > STUN_BINDING_PADDING_MAX);
    done(&live);
}

static void test_other_addresses_are_left_to_the_caller(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    struct net_address to = net_address_ipv4(127, 0, 0, 3, udp_socket_port(live.socket));
    ask(&live, &to, 0, bytes_of(NULL, 0));
    for (uint64_t until_us = clock_now_us() + DEADLINE_US;
         live.plain == 0 && clock_now_us() < until_us;)
        loop_turn(&live.loop, 1000);
    assert_int_equal(live.plain, 1);
    done(&live);
}

static void test_a_second_worker_shares_the_second_port(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    struct turn_nat_discovery_config config = live.config;
    struct turn_nat_discovery *second;
    config.other_port = turn_nat_discovery_port(live.discovery);
    assert_int_equal(turn_nat_discovery_new(&config, &second), -EADDRINUSE);
    config.first = false;
    assert_int_equal(turn_nat_discovery_new(&config, &second), 0);
    assert_int_equal(turn_nat_discovery_port(second), config.other_port);
    for (int i = 0; i < 50; i++) { // whichever of the two the kernel chooses
        struct net_address to = address_of(&live, STUN_BINDING_OTHER_PORT);
        ask(&live, &to, 0, bytes_of(NULL, 0));
        take(&live, live.client);
        assert_true(net_address_equal(&live.from, &to));
    }
    turn_nat_discovery_free(second);
    done(&live);
}

static void test_useless_addresses_are_refused(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    struct turn_nat_discovery *discovery;
    struct turn_nat_discovery_config config = live.config;
    config.addresses[1] = config.addresses[0];
    assert_int_equal(turn_nat_discovery_new(&config, &discovery), -EINVAL);
    config.addresses[1] = (struct net_address){ .family = NET_IPV6, .ip = { [15] = 1 } };
    assert_int_equal(turn_nat_discovery_new(&config, &discovery), -EINVAL);
    config.addresses[1] = net_address_ipv4(192, 0, 2, 1, 0); // not of this host
    assert_int_equal(turn_nat_discovery_new(&config, &discovery), -EADDRNOTAVAIL);
    done(&live);
}

static void test_external_addresses_are_told_instead_of_local_ones(void **state)
{
    (void)state;
    struct live live;
    begin(&live, false, NULL);
    turn_nat_discovery_free(live.discovery);
    live.config.external[0] = net_address_ipv4(198, 51, 100, 1, 0);
    live.config.external[1] = net_address_ipv4(198, 51, 100, 2, 0);
    assert_int_equal(turn_nat_discovery_new(&live.config, &live.discovery), 0);
    struct net_address to = address_of(&live, 0);
    ask(&live, &to, 0, bytes_of(NULL, 0));
    take(&live, live.client);
    struct net_address origin = net_address_ipv4(198, 51, 100, 1, udp_socket_port(live.socket));
    struct net_address other =
        net_address_ipv4(198, 51, 100, 2, turn_nat_discovery_port(live.discovery));
    assert_told(&live, STUN_RESPONSE_ORIGIN, &origin);
    assert_told(&live, STUN_OTHER_ADDRESS, &other);
    done(&live);
}

static void test_strangers_are_answered_at_their_rate(void **state)
{
    (void)state;
    struct live live;
    const struct turn_quota_limits limits = { .unauthenticated_per_s = 1,
                                              .unauthenticated_burst = 3 };
    static const uint64_t secret[2] = { 1, 2 };
    struct turn_quota *quota = turn_quota_new(&limits, secret);
    begin(&live, false, quota);
    struct net_address to = address_of(&live, STUN_BINDING_OTHER_IP);
    for (int i = 0; i < 20; i++)
        ask(&live, &to, 0, bytes_of(NULL, 0));
    const struct metric_set set = turn_nat_discovery_metrics(live.discovery, "");
    const metric_value *dropped = &set.values[TURN_NAT_DISCOVERY_DROPPED_RATE];
    const metric_value *answered = &set.values[TURN_NAT_DISCOVERY_ANSWERED];
    for (uint64_t until_us = clock_now_us() + DEADLINE_US;
         metric_get(answered) + metric_get(dropped) < 20 && clock_now_us() < until_us;)
        loop_turn(&live.loop, 1000);
    assert_int_equal(metric_get(answered) + metric_get(dropped), 20);
    assert_in_range(metric_get(answered), 1, 10);
    done(&live);
    turn_quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_come_from_the_address_asked_for),
        cmocka_unit_test(test_a_shared_port_bound_to_one_address_is_completed),
        cmocka_unit_test(test_response_port_reaches_another_socket),
        cmocka_unit_test(test_padding_makes_a_large_answer),
        cmocka_unit_test(test_other_addresses_are_left_to_the_caller),
        cmocka_unit_test(test_a_second_worker_shares_the_second_port),
        cmocka_unit_test(test_useless_addresses_are_refused),
        cmocka_unit_test(test_external_addresses_are_told_instead_of_local_ones),
        cmocka_unit_test(test_strangers_are_answered_at_their_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
