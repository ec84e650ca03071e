#include "unit/runtime/turns.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/udp.h"
#include "unit/runtime/loopback.h"

struct end {
    struct udp_socket *socket;
    struct net_path last;
    size_t count;
    size_t bytes;
    size_t largest_batch;
    size_t sizes[4096];
    uint8_t firsts[4096];
};

static void on_received(void *owner, struct udp_socket *unused_socket unused,
                        const struct udp_datagram *datagrams, size_t count)
{
    struct end *end = owner;
    end->largest_batch = max_of(end->largest_batch, count);
    for (size_t i = 0; i < count && end->count < array_size(end->sizes); i++) {
        for (size_t j = 1; j < datagrams[i].size; j++)
            assert_int_equal(datagrams[i].data[j], datagrams[i].data[0]);
        end->sizes[end->count] = datagrams[i].size;
        end->firsts[end->count++] = datagrams[i].data[0];
        end->bytes += datagrams[i].size;
        end->last = datagrams[i].path;
    }
}

static const struct udp_ops ops = { .received = on_received };

struct bench {
    struct loop loop;
    struct datagram_batch batch;
    struct end a, b;
};

static struct bench *bench_new(const struct udp_config *config_a, const struct udp_config *config_b)
{
    struct bench *bench = memory_new(struct bench);
    assert_int_equal(loop_init(&bench->loop), 0);
    assert_int_equal(udp_socket_open(config_a, &bench->loop, &ops, &bench->a, &bench->a.socket), 0);
    assert_int_equal(udp_socket_open(config_b, &bench->loop, &ops, &bench->b, &bench->b.socket), 0);
    datagram_batch_init(&bench->batch, 1 << 20, 2048);
    return bench;
}

static void bench_free(struct bench *bench)
{
    udp_socket_close(bench->a.socket);
    udp_socket_close(bench->b.socket);
    datagram_batch_done(&bench->batch);
    loop_done(&bench->loop);
    free(bench);
}

static uint64_t counted(const struct bench *bench, enum runtime_metric metric)
{
    return metric_get(&bench->loop.metrics.values[metric]);
}

static struct net_address loopback(int family, uint16_t port)
{
    struct net_address address;
    assert_int_equal(net_address_parse_ip(family == NET_IPV4 ? "127.0.0.1" : "::1", port, &address),
                     0);
    return address;
}

static void add(struct bench *bench, const struct net_path *path, uint8_t first, size_t size)
{
    uint8_t bytes[DATAGRAM_SIZE_MAX];
    memset(bytes, first, size);
    assert_true(datagram_batch_add(&bench->batch, path, bytes, size));
}

static bool kernel_has(int option)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), value = 0;
    bool has = setsockopt(fd, IPPROTO_UDP, option, &value, sizeof(value)) == 0;
    close(fd);
    return has;
}

/** Runs of several lengths, a short last one, and single ones between. */
static void check_exchange(const struct udp_config *config_a, const struct udp_config *config_b,
                           int family)
{
    if (family == NET_IPV6 && !has_ipv6_loopback())
        skip();
    struct bench *bench = bench_new(config_a, config_b);
    assert_int_equal(
        udp_socket_has_ipv6(bench->a.socket) || config_a->ipv4_only || !has_ipv6_loopback(), true);
    struct net_path path = { .remote = loopback(family, udp_socket_port(bench->b.socket)) };
    static const size_t sizes[] = { 1200, 1200, 1200, 1200, 700, 300, 1400, 1400, 100, 1200 };
    uint8_t number = 0;
    size_t bytes = 0;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < array_size(sizes); i++) {
            add(bench, &path, number++, sizes[i]);
            bytes += sizes[i];
        }
    }
    udp_socket_send(bench->a.socket, &bench->batch);
    assert_true(datagram_batch_empty(&bench->batch));
    turn_until(&bench->loop, bench->b.count == 200);
    assert_int_equal(bench->b.bytes, bytes);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(bench->b.sizes[i], sizes[i % array_size(sizes)]);
        assert_int_equal(bench->b.firsts[i], (uint8_t)i);
    }
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 200);
    assert_int_equal(counted(bench, RUNTIME_UDP_RECEIVED), 200);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT_BYTES), bytes);
    // a kernel that has offload must use it: probed here apart from the code under test
    assert_int_equal(udp_socket_uses_gso(bench->a.socket),
                     !config_a->no_gso && kernel_has(UDP_SEGMENT));
    assert_int_equal(udp_socket_uses_gro(bench->b.socket),
                     !config_b->no_gro && kernel_has(UDP_GRO));
    if (udp_socket_uses_gso(bench->a.socket))
        assert_true(counted(bench, RUNTIME_UDP_SEND_MESSAGES) < 150);
    else
        assert_int_equal(counted(bench, RUNTIME_UDP_SEND_MESSAGES), 200);
    if (udp_socket_uses_gro(bench->b.socket) && udp_socket_uses_gso(bench->a.socket))
        assert_true(counted(bench, RUNTIME_UDP_RECEIVE_MESSAGES) < 150);
    else
        assert_int_equal(counted(bench, RUNTIME_UDP_RECEIVE_MESSAGES), 200);
    // who it was, and the address that was addressed
    assert_true(net_address_equal(&bench->b.last.local, &path.remote));
    struct net_address sender = loopback(family, udp_socket_port(bench->a.socket));
    assert_true(net_address_equal(&bench->b.last.remote, &sender));
    bench_free(bench);
}

static const struct udp_config plain = { 0 };
static const struct udp_config no_offload = { .no_gro = true, .no_gso = true };
static const struct udp_config ipv4 = { .ipv4_only = true };

static void test_runs_cross_with_offload_over_ipv4(void **state)
{
    (void)state;
    check_exchange(&plain, &plain, NET_IPV4);
}

static void test_runs_cross_with_offload_over_ipv6(void **state)
{
    (void)state;
    check_exchange(&plain, &plain, NET_IPV6);
}

static void test_runs_cross_without_offload_over_both(void **state)
{
    (void)state;
    check_exchange(&no_offload, &no_offload, NET_IPV4);
    check_exchange(&no_offload, &no_offload, NET_IPV6);
}

static void test_runs_cross_with_offload_on_one_side_only(void **state)
{
    (void)state;
    check_exchange(&plain, &no_offload, NET_IPV4);
    check_exchange(&no_offload, &plain, NET_IPV4);
}

static void test_sockets_of_ipv4_alone_work_with_and_without_offload(void **state)
{
    (void)state;
    static const struct udp_config bare = { .ipv4_only = true, .no_gro = true, .no_gso = true };
    check_exchange(&ipv4, &ipv4, NET_IPV4);
    check_exchange(&bare, &bare, NET_IPV4);
    check_exchange(&plain, &ipv4, NET_IPV4);
}

static void test_replies_leave_from_the_address_that_was_addressed(void **state)
{
    (void)state;
    static const struct udp_config *const configs[] = { &plain, &ipv4 };
    for (size_t i = 0; i < array_size(configs); i++) {
        struct bench *bench = bench_new(configs[i], configs[i]);
        struct net_path path = {
            .local = net_address_ipv4(127, 0, 0, 7, 0),
            .remote = net_address_ipv4(127, 0, 0, 9, udp_socket_port(bench->b.socket)),
        };
        add(bench, &path, 1, 100);
        udp_socket_send(bench->a.socket, &bench->batch);
        turn_until(&bench->loop, bench->b.count == 1);
        assert_true(net_address_same_ip(&bench->b.last.remote, &path.local));
        assert_true(net_address_equal(&bench->b.last.local, &path.remote));
        add(bench, &bench->b.last, 2, 100);
        udp_socket_send(bench->b.socket, &bench->batch);
        turn_until(&bench->loop, bench->a.count == 1);
        assert_true(net_address_equal(&bench->a.last.remote, &path.remote));
        assert_true(net_address_same_ip(&bench->a.last.local, &path.local));
        bench_free(bench);
    }
}

static void test_refused_run_is_sent_singly_and_runs_are_given_up_when_always_refused(void **state)
{
    (void)state;
    struct bench *bench = bench_new(&plain, &plain);
    if (!udp_socket_uses_gso(bench->a.socket)) {
        bench_free(bench);
        skip();
    }
    struct net_path path = {
        .remote = net_address_ipv4(127, 0, 0, 1, udp_socket_port(bench->b.socket)),
    };
    // A run of 64 of 1,000 bytes goes; the kernel refuses one of more bytes than a datagram can
    // have, which the batch itself never makes: 80 segments of 1,000 in one hand-made run.
    uint8_t *bytes = memory_new_array(uint8_t, 80000);
    struct datagram_run run = { .path = path, .size = 80000, .segment_size = 1000, .count = 80 };
    for (int i = 0; i < 8; i++) {
        struct datagram_batch batch = { .bytes = bytes,
                                        .capacity = 80000,
                                        .used = 80000,
                                        .runs = &run,
                                        .run_capacity = 1,
                                        .run_count = 1 };
        assert_true(udp_socket_uses_gso(bench->a.socket));
        udp_socket_send(bench->a.socket, &batch);
        turn_until(&bench->loop, bench->b.count == (size_t)(i + 1) * 80);
    }
    assert_int_equal(counted(bench, RUNTIME_UDP_SEGMENTATION_REFUSED), 8);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 640);
    assert_int_equal(bench->b.bytes, 640000);
    assert_false(udp_socket_uses_gso(bench->a.socket));
    // and it goes on without
    add(bench, &path, 3, 500);
    add(bench, &path, 3, 500);
    udp_socket_send(bench->a.socket, &bench->batch);
    turn_until(&bench->loop, bench->b.count == 642);
    free(bytes);
    bench_free(bench);
}

static void test_what_cannot_be_sent_is_counted_and_does_not_stop_the_rest(void **state)
{
    (void)state;
    struct bench *bench = bench_new(&ipv4, &ipv4);
    uint16_t port = udp_socket_port(bench->b.socket);
    struct net_path good = { .remote = net_address_ipv4(127, 0, 0, 1, port) };
    struct net_path ipv6 = { .remote = loopback(NET_IPV6, port) };
    // broadcast without SO_BROADCAST is refused on every system
    struct net_path forbidden = { .remote = net_address_ipv4(255, 255, 255, 255, port) };
    struct net_path closed = { .remote = net_address_ipv4(127, 0, 0, 1, 1) };
    add(bench, &ipv6, 1, 10);
    add(bench, &good, 2, 10);
    add(bench, &forbidden, 3, 10);
    add(bench, &closed, 4, 10); // answered by ICMP, which must not hurt the next ones
    add(bench, &closed, 5, 20);
    add(bench, &good, 6, 10);
    udp_socket_send(bench->a.socket, &bench->batch);
    turn_until(&bench->loop, bench->b.count == 2);
    assert_int_equal(bench->b.firsts[0], 2);
    assert_int_equal(bench->b.firsts[1], 6);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_UNREACHABLE), 2);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 4);
    bench_free(bench);
}

static void test_workers_share_a_port_that_strangers_cannot_join(void **state)
{
    (void)state;
    struct udp_config first = { .first_of_port = true };
    struct bench *bench = bench_new(&first, &plain);
    uint16_t port = udp_socket_port(bench->a.socket);
    assert_int_not_equal(port, 0);
    struct udp_config joining = { .bind = { .port = port } };
    struct udp_socket *joined = NULL, *stranger = NULL;
    assert_int_equal(udp_socket_open(&joining, &bench->loop, &ops, &bench->a, &joined), 0);
    assert_int_equal(udp_socket_port(joined), port);
    first.bind.port = port;
    assert_int_equal(udp_socket_open(&first, &bench->loop, &ops, &bench->a, &stranger),
                     -EADDRINUSE);
    assert_null(stranger);
    // both receive: many senders' addresses spread over the two
    size_t sent = 0;
    for (uint8_t i = 1; i < 60; i++) {
        struct net_path path = { .local = net_address_ipv4(127, 0, 1, i, 0),
                                 .remote = net_address_ipv4(127, 0, 0, 1, port) };
        add(bench, &path, i, 10);
        sent++;
    }
    udp_socket_send(bench->b.socket, &bench->batch);
    turn_until(&bench->loop, bench->a.count == sent);
    udp_socket_close(joined);
    bench_free(bench);
}

static void test_full_receive_buffer_is_counted(void **state)
{
    (void)state;
    struct udp_config small = { .receive_buffer_bytes = 4096, .no_gro = true };
    struct bench *bench = bench_new(&no_offload, &small);
    struct net_path path = {
        .remote = net_address_ipv4(127, 0, 0, 1, udp_socket_port(bench->b.socket)),
    };
    for (int i = 0; i < 100; i++)
        add(bench, &path, 1, 1000);
    udp_socket_send(bench->a.socket, &bench->batch);
    loop_turn(&bench->loop, 0);
    assert_true(bench->b.count < 100);
    // the count comes with the next datagram that gets through
    size_t got = bench->b.count;
    add(bench, &path, 2, 10);
    udp_socket_send(bench->a.socket, &bench->batch);
    turn_until(&bench->loop, bench->b.count > got);
    assert_int_equal(counted(bench, RUNTIME_UDP_RECEIVED_OVERFLOW) + bench->b.count, 101);
    bench_free(bench);
}

static void test_larger_datagrams_than_engines_take_are_dropped_and_counted(void **state)
{
    (void)state;
    struct bench *bench = bench_new(&no_offload, &plain);
    uint8_t *bytes = memory_new_array(uint8_t, 9000);
    struct datagram_run run = {
        .path.remote = net_address_ipv4(127, 0, 0, 1, udp_socket_port(bench->b.socket)),
        .size = 9000,
        .segment_size = 9000,
        .count = 1,
    };
    struct datagram_batch batch = { .bytes = bytes,
                                    .capacity = 9000,
                                    .used = 9000,
                                    .runs = &run,
                                    .run_capacity = 1,
                                    .run_count = 1 };
    udp_socket_send(bench->a.socket, &batch);
    turn_until(&bench->loop, counted(bench, RUNTIME_UDP_RECEIVED_OVERSIZED) == 1);
    assert_int_equal(bench->b.count, 0);
    free(bytes);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_cross_with_offload_over_ipv4),
        cmocka_unit_test(test_runs_cross_with_offload_over_ipv6),
        cmocka_unit_test(test_runs_cross_without_offload_over_both),
        cmocka_unit_test(test_runs_cross_with_offload_on_one_side_only),
        cmocka_unit_test(test_sockets_of_ipv4_alone_work_with_and_without_offload),
        cmocka_unit_test(test_replies_leave_from_the_address_that_was_addressed),
        cmocka_unit_test(test_refused_run_is_sent_singly_and_runs_are_given_up_when_always_refused),
        cmocka_unit_test(test_what_cannot_be_sent_is_counted_and_does_not_stop_the_rest),
        cmocka_unit_test(test_workers_share_a_port_that_strangers_cannot_join),
        cmocka_unit_test(test_full_receive_buffer_is_counted),
        cmocka_unit_test(test_larger_datagrams_than_engines_take_are_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
