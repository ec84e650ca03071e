#include "unit/runtime/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/udp.h"
#include "runtime/udp_gather.h"
#include "unit/runtime/loopback.h"

/** The receiving end: remembers every datagram whole. */
struct end {
    struct udp_socket *socket;
    size_t count;
    struct net_address senders[1024];
    size_t sizes[1024];
    uint8_t bytes[1024][1600];
    // what ICMP said
    size_t error_count;
    struct net_address error_about;
    unsigned error_type, error_code;
    uint32_t error_data;
};

struct bench {
    struct loop loop;
    struct udp_memory *memory;
    struct udp_gather *gather;
    struct end ends[3]; // 0 sends; 1 and 2 receive
    uint8_t source[65536];
};

static void on_received(void *owner, struct udp_socket *socket,
                        const struct udp_datagram *datagrams, size_t count)
{
    struct end *end = owner;
    assert_ptr_equal(end->socket, socket);
    for (size_t i = 0; i < count; i++, end->count++) {
        assert_true(end->count < array_size(end->sizes));
        end->senders[end->count] = datagrams[i].path.remote;
        end->sizes[end->count] = datagrams[i].size;
        memcpy(end->bytes[end->count], datagrams[i].data, min_of(datagrams[i].size, (size_t)1600));
    }
}

static void on_error(void *owner, struct udp_socket *socket, const struct net_address *remote,
                     uint8_t type, uint8_t code, uint32_t data)
{
    struct end *end = owner;
    assert_ptr_equal(end->socket, socket);
    end->error_count++;
    end->error_about = *remote;
    end->error_type = type;
    end->error_code = code;
    end->error_data = data;
}

static const struct udp_ops ops = { .received = on_received, .error = on_error };

static struct udp_config relay_config(struct bench *bench, int family)
{
    struct udp_config config = {
        .receive_buffer_bytes = 1 << 20,
        .send_buffer_bytes = UDP_BUFFER_SYSTEM,
        .memory = bench->memory,
        .exclusive = true,
        .report_errors = true,
        .empty_datagrams = true,
    };
    assert_int_equal(
        net_address_parse_ip(family == NET_IPV4 ? "127.0.0.1" : "::1", 0, &config.bind), 0);
    return config;
}

static void open_end(struct bench *bench, struct end *end, const struct udp_config *config)
{
    assert_int_equal(udp_socket_open(config, &bench->loop, &ops, end, &end->socket), 0);
}

/** Three light sockets of one memory; the sender without GSO if asked. */
static struct bench *bench_new(int family, bool no_gso)
{
    struct bench *bench = memory_new(struct bench);
    assert_int_equal(loop_init(&bench->loop), 0);
    bench->memory = udp_memory_new();
    bench->gather = udp_gather_new();
    struct udp_config config = relay_config(bench, family);
    for (size_t i = 0; i < array_size(bench->ends); i++) {
        config.no_gso = i == 0 && no_gso;
        open_end(bench, &bench->ends[i], &config);
    }
    for (size_t i = 0; i < sizeof(bench->source); i++)
        bench->source[i] = (uint8_t)(i * 7 + i / 251);
    return bench;
}

static void bench_free(struct bench *bench)
{
    udp_gather_free(bench->gather);
    for (size_t i = 0; i < array_size(bench->ends); i++)
        udp_socket_close(bench->ends[i].socket);
    udp_memory_free(bench->memory);
    loop_done(&bench->loop);
    free(bench);
}

static uint64_t counted(const struct bench *bench, enum runtime_metric metric)
{
    return metric_get(&bench->loop.metrics.values[metric]);
}

static struct net_path path_to(const struct bench *bench, int end)
{
    return (struct net_path){ .remote = udp_socket_address(bench->ends[end].socket) };
}

static const uint8_t header[UDP_GATHER_HEADER_MAX] = { 0x40, 1, 2, 3, 4, 5, 6, 7, 8 };

/** What one datagram of a test is made of. */
struct shape {
    size_t header;
    size_t at; /**< in `source` */
    size_t size;
    size_t padding;
};

static void add(struct bench *bench, int end, struct shape shape, unsigned flags, uint32_t *run)
{
    struct net_path path = path_to(bench, end);
    udp_gather_add(bench->gather, bench->ends[0].socket, &path, shape.header ? header : NULL,
                   shape.header, bytes_of(bench->source + shape.at, shape.size), shape.padding,
                   flags, run);
}

static void check_arrived(const struct bench *bench, int end, size_t index, struct shape shape)
{
    static const uint8_t zeros[3];
    const struct end *got = &bench->ends[end];
    const uint8_t *bytes = got->bytes[index];
    assert_int_equal(got->sizes[index], shape.header + shape.size + shape.padding);
    assert_memory_equal(bytes, header, shape.header);
    assert_memory_equal(bytes + shape.header, bench->source + shape.at, shape.size);
    assert_memory_equal(bytes + shape.header + shape.size, zeros, shape.padding);
    struct net_address sender = udp_socket_address(bench->ends[0].socket);
    assert_true(net_address_equal(&got->senders[index], &sender));
}

/**
 * Datagrams to two destinations by turns, twice: of every kind of pieces, lengths that end runs,
 * lengths that are copied and that are not.
 */
static void check_interleaved(int family, bool no_gso)
{
    static const struct shape shapes[] = {
        { 4, 0, 1200, 0 },     { 4, 1204, 1200, 0 },  { 4, 2408, 1200, 0 },  { 4, 3612, 700, 0 },
        { 0, 5004, 1000, 0 },  { 0, 6008, 1000, 0 },  { 0, 7012, 1000, 0 },  { 0, 8012, 1000, 0 },
        { 36, 10000, 201, 3 }, { 36, 10205, 201, 3 }, { 36, 10410, 201, 3 }, { 36, 10611, 1, 3 },
        { 4, 20000, 1400, 0 }, { 0, 22000, 0, 0 },    { 4, 23000, 0, 0 },    { 4, 23000, 0, 0 },
        { 0, 30000, 300, 0 },  { 0, 30300, 300, 0 },  { 0, 30604, 300, 0 },  { 0, 30908, 20, 0 },
        { 0, 32000, 300, 0 },  { 0, 32304, 300, 0 },  { 0, 32604, 300, 0 },  { 0, 33000, 280, 3 },
        { 0, 34000, 250, 2 },  { 0, 34252, 250, 2 },  { 0, 34502, 250, 2 },  { 0, 34754, 90, 2 },
        { 0, 24000, 1, 0 },    { 36, 25000, 901, 3 }, { 36, 26000, 901, 3 }, { 0, 27000, 940, 0 },
    };
    if (family == NET_IPV6 && !has_ipv6_loopback())
        skip();
    struct bench *bench = bench_new(family, no_gso);
    uint32_t runs[3] = { UDP_GATHER_NO_RUN, UDP_GATHER_NO_RUN, UDP_GATHER_NO_RUN };
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < array_size(shapes); i++) {
            add(bench, 1, shapes[i], 0, &runs[1]);
            add(bench, 2, shapes[array_size(shapes) - 1 - i], 0, &runs[2]);
        }
        udp_gather_flush(bench->gather);
        turn_until(&bench->loop, bench->ends[1].count == (round + 1) * array_size(shapes) &&
                                     bench->ends[2].count == (round + 1) * array_size(shapes));
    }
    for (size_t i = 0; i < 2 * array_size(shapes); i++) {
        size_t which = i % array_size(shapes);
        check_arrived(bench, 1, i, shapes[which]);
        check_arrived(bench, 2, i, shapes[array_size(shapes) - 1 - which]);
    }
    uint64_t total = 4 * array_size(shapes);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), total);
    assert_int_equal(counted(bench, RUNTIME_UDP_RECEIVED), total);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT_BYTES),
                     counted(bench, RUNTIME_UDP_RECEIVED_BYTES));
    // all of a flush in one call: one socket
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_CALLS), 2);
    if (no_gso)
        assert_int_equal(counted(bench, RUNTIME_UDP_SEND_MESSAGES), total);
    else
        assert_true(counted(bench, RUNTIME_UDP_SEND_MESSAGES) < total * 2 / 3);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEGMENTATION_REFUSED), 0);
    bench_free(bench);
}

static void test_interleaved_destinations_form_runs_over_ipv4(void **state)
{
    (void)state;
    check_interleaved(NET_IPV4, false);
}

static void test_interleaved_destinations_form_runs_over_ipv6(void **state)
{
    (void)state;
    check_interleaved(NET_IPV6, false);
}

static void test_without_gso_every_datagram_is_its_own_message(void **state)
{
    (void)state;
    check_interleaved(NET_IPV4, true);
    check_interleaved(NET_IPV6, true);
}

static void test_equal_datagrams_leave_as_one_message_of_at_most_64_and_65000_bytes(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    if (!udp_socket_uses_gso(bench->ends[0].socket)) {
        bench_free(bench);
        skip();
    }
    uint32_t run = UDP_GATHER_NO_RUN;
    for (size_t i = 0; i < 100; i++)
        add(bench, 1, (struct shape){ 4, i * 100, 96, 0 }, 0, &run);
    udp_gather_flush(bench->gather);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_MESSAGES), 2);
    for (size_t i = 0; i < 100; i++)
        add(bench, 1, (struct shape){ 4, i * 10, 1396, 0 }, 0, &run);
    udp_gather_flush(bench->gather);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_MESSAGES), 2 + 3); // 46, 46, 8
    turn_until(&bench->loop, bench->ends[1].count == 200);
    for (size_t i = 0; i < 100; i++) {
        check_arrived(bench, 1, i, (struct shape){ 4, i * 100, 96, 0 });
        check_arrived(bench, 1, 100 + i, (struct shape){ 4, i * 10, 1396, 0 });
    }
    bench_free(bench);
}

static void test_a_stale_hint_is_harmless(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    uint32_t runs[3] = { 0, 0, 1 };
    for (size_t i = 0; i < 4; i++) {
        add(bench, 1, (struct shape){ 0, i, 100, 0 }, 0, &runs[1]);
        runs[2] = (uint32_t)i; // of others, or of nothing
        add(bench, 2, (struct shape){ 0, i, 100, 0 }, 0, &runs[2]);
    }
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == 4 && bench->ends[2].count == 4);
    for (size_t i = 0; i < 4; i++) {
        check_arrived(bench, 1, i, (struct shape){ 0, i, 100, 0 });
        check_arrived(bench, 2, i, (struct shape){ 0, i, 100, 0 });
    }
    bench_free(bench);
}

static void test_each_datagram_leaves_from_its_own_socket(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    struct net_path path = path_to(bench, 1);
    static const int senders[][8] = { { 0, 2, 0, 2, 0, 2, 0, 2 },
                                      { 2, 2, 2, 2, 2, 2, 2, 0 },
                                      { 0, 0, 0, 0, 0, 0, 0, 2 },
                                      { 2, 0, 0, 2, 2, 0, 2, 0 } };
    for (size_t round = 0; round < array_size(senders); round++) {
        uint32_t runs[3] = { UDP_GATHER_NO_RUN, UDP_GATHER_NO_RUN, UDP_GATHER_NO_RUN };
        for (size_t i = 0; i < 8; i++) {
            int sender = senders[round][i];
            udp_gather_add(bench->gather, bench->ends[sender].socket, &path, NULL, 0,
                           bytes_of(bench->source, 20 + i), 0, 0, &runs[sender]);
        }
        udp_gather_flush(bench->gather);
        turn_until(&bench->loop, bench->ends[1].count == 8);
        for (size_t i = 0; i < 8; i++) {
            int sender = senders[round][bench->ends[1].sizes[i] - 20];
            struct net_address address = udp_socket_address(bench->ends[sender].socket);
            assert_true(net_address_equal(&bench->ends[1].senders[i], &address));
        }
        bench->ends[1].count = 0;
        // one call for each socket
        assert_int_equal(counted(bench, RUNTIME_UDP_SEND_CALLS), (round + 1) * 2);
    }
    bench_free(bench);
}

static void test_more_runs_than_fit_flush_by_themselves_in_order(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    uint32_t run = UDP_GATHER_NO_RUN;
    for (size_t i = 0; i < 500; i++) // each longer than the one before: no runs
        add(bench, 1, (struct shape){ 4, i, i + 1, 0 }, 0, &run);
    assert_true(counted(bench, RUNTIME_UDP_SENT) > 0);
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == 500);
    for (size_t i = 0; i < 500; i++)
        check_arrived(bench, 1, i, (struct shape){ 4, i, i + 1, 0 });
    bench_free(bench);
}

static void test_a_refused_run_goes_singly_and_long_segments_do_not_take_runs_from_all(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    struct udp_socket *socket = bench->ends[0].socket;
    if (!udp_socket_uses_gso(socket)) {
        bench_free(bench);
        skip();
    }
    // without checksums the kernel makes no runs
    int fd = -1, one = 1;
    for (int candidate = 3; candidate < 256 && fd < 0; candidate++) {
        struct sockaddr_in name;
        socklen_t size = sizeof(name);
        if (getsockname(candidate, (struct sockaddr *)&name, &size) == 0 &&
            name.sin_family == AF_INET && ntohs(name.sin_port) == udp_socket_port(socket))
            fd = candidate;
    }
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)), 0);
    size_t sent = 0;
    for (size_t round = 0; round < 20; round++) {
        uint32_t run = UDP_GATHER_NO_RUN;
        size_t size = round < 10 ? 1400 : 800;
        for (size_t i = 0; i < 3; i++)
            add(bench, 1, (struct shape){ 4, i * 1404 + round, i < 2 ? size : size / 2, 0 }, 0,
                &run);
        udp_gather_flush(bench->gather);
        sent += 3;
        turn_until(&bench->loop, bench->ends[1].count == sent);
        for (size_t i = 0; i < 3; i++)
            check_arrived(bench, 1, sent - 3 + i,
                          (struct shape){ 4, i * 1404 + round, i < 2 ? size : size / 2, 0 });
        assert_int_equal(udp_socket_uses_gso(socket), round < 17);
    }
    assert_int_equal(counted(bench, RUNTIME_UDP_SEGMENTATION_REFUSED), 18);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 60);
    bench_free(bench);
}

static void test_what_waits_for_a_closed_socket_is_forgotten_and_the_rest_is_sent(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    uint32_t runs[2] = { UDP_GATHER_NO_RUN, UDP_GATHER_NO_RUN };
    struct net_path path = path_to(bench, 1);
    for (size_t i = 0; i < 3; i++) {
        add(bench, 1, (struct shape){ 0, i, 100, 0 }, 0, &runs[0]);
        udp_gather_add(bench->gather, bench->ends[2].socket, &path, NULL, 0,
                       bytes_of(bench->source, 10 + i), 0, 0, &runs[1]);
    }
    udp_gather_forget(bench->gather, bench->ends[2].socket);
    bench->ends[2].socket = udp_socket_close(bench->ends[2].socket);
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == 3);
    assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 3);
    bench_free(bench);
}

static void test_a_closed_port_is_reported_and_disturbs_nobody(void **state)
{
    (void)state;
    static const struct {
        int family;
        unsigned type, code;
    } cases[] = { { NET_IPV4, 3, 3 }, { NET_IPV6, 1, 4 } };
    for (size_t i = 0; i < array_size(cases); i++) {
        if (cases[i].family == NET_IPV6 && !has_ipv6_loopback())
            continue;
        struct bench *bench = bench_new(cases[i].family, false);
        struct net_path closed = path_to(bench, 2);
        bench->ends[2].socket = udp_socket_close(bench->ends[2].socket);
        // each datagram to the closed port leaves an error that the next send finds
        for (size_t j = 0; j < 5; j++) {
            uint32_t run = UDP_GATHER_NO_RUN;
            udp_gather_add(bench->gather, bench->ends[0].socket, &closed, NULL, 0,
                           bytes_of(bench->source, 10), 0, 0, &run);
            udp_gather_flush(bench->gather);
            run = UDP_GATHER_NO_RUN;
            add(bench, 1, (struct shape){ 4, j, 100, 0 }, 0, &run);
            udp_gather_flush(bench->gather);
        }
        assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 10);
        turn_until(&bench->loop, bench->ends[1].count == 5 && bench->ends[0].error_count > 0);
        assert_true(net_address_equal(&bench->ends[0].error_about, &closed.remote));
        assert_int_equal(bench->ends[0].error_type, cases[i].type);
        assert_int_equal(bench->ends[0].error_code, cases[i].code);
        assert_int_equal(bench->ends[1].error_count + bench->ends[2].error_count, 0);
        // and the batch's way of sending repeats as well
        struct datagram_batch batch;
        datagram_batch_init(&batch, 1 << 16, 16);
        struct net_path open = path_to(bench, 1);
        for (size_t j = 0; j < 3; j++) {
            datagram_batch_add(&batch, &closed, bench->source, 10);
            udp_socket_send(bench->ends[0].socket, &batch);
            datagram_batch_add(&batch, &open, bench->source, 50);
            udp_socket_send(bench->ends[0].socket, &batch);
        }
        turn_until(&bench->loop, bench->ends[1].count == 8);
        assert_int_equal(counted(bench, RUNTIME_UDP_SENT), 16);
        datagram_batch_done(&batch);
        bench_free(bench);
    }
}

static void test_reports_are_limited_and_a_flood_of_them_ends(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    struct net_path closed = path_to(bench, 2);
    bench->ends[2].socket = udp_socket_close(bench->ends[2].socket);
    for (size_t i = 0; i < 40; i++) {
        uint32_t run = UDP_GATHER_NO_RUN;
        udp_gather_add(bench->gather, bench->ends[0].socket, &closed, NULL, 0,
                       bytes_of(bench->source, 10), 0, 0, &run);
        udp_gather_flush(bench->gather);
    }
    uint64_t seen;
    do {
        seen = counted(bench, RUNTIME_UDP_ERRORS) + counted(bench, RUNTIME_UDP_ERRORS_LIMITED);
        loop_turn(&bench->loop, 1000);
    } while (seen <
             counted(bench, RUNTIME_UDP_ERRORS) + counted(bench, RUNTIME_UDP_ERRORS_LIMITED));
    assert_int_equal(bench->ends[0].error_count, counted(bench, RUNTIME_UDP_ERRORS));
    assert_in_range(bench->ends[0].error_count, 1, UDP_ERRORS_BURST + 2);
    assert_true(counted(bench, RUNTIME_UDP_ERRORS_LIMITED) > 0);
    assert_int_equal(counted(bench, RUNTIME_UDP_ERRORS_STRANGE), 0);
    bench_free(bench);
}

/** A raw socket for what goes to a port; -1 where none may be had. What others send would fill it.
 */
static int open_raw(uint16_t port)
{
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    if (raw < 0)
        return -1;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 22),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = { .len = array_size(code), .filter = code };
    assert_int_equal(setsockopt(raw, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)), 0);
    uint8_t before[64];
    while (recv(raw, before, sizeof(before), MSG_DONTWAIT) >= 0)
        ;
    return raw;
}

/** Whether the last datagram that arrived at a raw socket for UDP carried DF. */
static bool next_has_df(int raw, uint16_t port)
{
    uint8_t packet[2048];
    for (;;) {
        ssize_t size = recv(raw, packet, sizeof(packet), MSG_DONTWAIT);
        assert_true(size >= 28);
        if (load_u16(packet + 22) == port)
            return packet[6] & 0x40;
    }
}

static void test_dont_fragment_sets_df_on_that_datagram_alone(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    int raw = open_raw(udp_socket_port(bench->ends[1].socket));
    if (raw < 0) {
        bench_free(bench);
        skip();
    }
    uint32_t run = UDP_GATHER_NO_RUN;
    static const unsigned flags[] = {
        0, UDP_GATHER_DONT_FRAGMENT, 0, UDP_GATHER_DONT_FRAGMENT, UDP_GATHER_DONT_FRAGMENT, 0
    };
    for (size_t i = 0; i < array_size(flags); i++)
        add(bench, 1, (struct shape){ 4, i, 100, 0 }, flags[i], &run);
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == array_size(flags));
    for (size_t i = 0; i < array_size(flags); i++) {
        check_arrived(bench, 1, i, (struct shape){ 4, i, 100, 0 });
        assert_int_equal(next_has_df(raw, udp_socket_port(bench->ends[1].socket)),
                         flags[i] == UDP_GATHER_DONT_FRAGMENT);
    }
    close(raw);
    bench_free(bench);
}

/** Sends from the end's address a datagram with a wrong MTU claim about what it was sent. */
static int forge_fragmentation_needed(const struct bench *bench, uint16_t mtu)
{
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (raw < 0)
        return -errno;
    struct {
        struct icmphdr icmp;
        uint8_t quoted[28];
    } packet = { .icmp = { .type = 3, .code = 4 } };
    packet.icmp.un.frag.mtu = htons(mtu);
    uint8_t *ip = packet.quoted;
    uint16_t from = udp_socket_port(bench->ends[0].socket);
    uint16_t to = udp_socket_port(bench->ends[1].socket);
    ip[0] = 0x45;
    ip[2] = 0x04;
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, (uint8_t[]){ 127, 0, 0, 1, 127, 0, 0, 1 }, 8);
    uint16_t sum = 0xffff; // the quoted header's own checksum is not looked at
    memcpy(ip + 10, &sum, 2);
    store_u16(ip + 20, from);
    store_u16(ip + 22, to);
    uint32_t total = 0;
    for (size_t i = 0; i < sizeof(packet); i += 2)
        total += load_u16((const uint8_t *)&packet + i);
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    packet.icmp.checksum = htons((uint16_t)~total);
    struct sockaddr_in target = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ssize_t sent =
        sendto(raw, &packet, sizeof(packet), 0, (struct sockaddr *)&target, sizeof(target));
    close(raw);
    return sent < 0 ? -errno : 0;
}

/**
 * Goes to a network of the test's own, whose loopback takes 1,500 bytes whole: what is forged there
 * harms nobody. Returns the descriptor of the one before, or -1.
 */
static int enter_network(void)
{
    int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (before < 0 || unshare(CLONE_NEWNET) < 0) {
        close(before);
        return -1;
    }
    struct ifreq request = { .ifr_name = "lo", .ifr_mtu = 1500 };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
    return before;
}

static void leave_network(int before)
{
    assert_int_equal(setns(before, CLONE_NEWNET), 0);
    close(before);
}

static void test_a_forged_icmp_message_is_told_and_changes_no_datagram(void **state)
{
    (void)state;
    int before = enter_network();
    if (before < 0)
        skip();
    struct bench *bench = bench_new(NET_IPV4, false);
    assert_int_equal(forge_fragmentation_needed(bench, 600), 0);
    turn_until(&bench->loop, bench->ends[0].error_count == 1);
    struct net_path path = path_to(bench, 1);
    assert_true(net_address_equal(&bench->ends[0].error_about, &path.remote));
    assert_int_equal(bench->ends[0].error_type, 3);
    assert_int_equal(bench->ends[0].error_code, 4);
    assert_int_equal(bench->ends[0].error_data, 600);
    // longer ones still go, in runs, with DF, and whole
    uint32_t run = UDP_GATHER_NO_RUN;
    for (size_t i = 0; i < 8; i++)
        add(bench, 1, (struct shape){ 4, i, 1400, 0 }, 0, &run);
    add(bench, 1, (struct shape){ 4, 0, 1400, 0 }, UDP_GATHER_DONT_FRAGMENT, &run);
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == 9);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_MESSAGES), 2);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEGMENTATION_REFUSED), 0);
    bench_free(bench);
    leave_network(before);
}

struct keeper {
    struct udp_memory *memory;
    struct udp_gather *gather;
    struct udp_socket *sockets[8];
    struct udp_socket *out;
    struct net_path path;
    size_t received;
    size_t releases;
    uint32_t run;
};

static void keeper_received(void *owner, struct udp_socket *socket unused,
                            const struct udp_datagram *datagrams, size_t count)
{
    struct keeper *keeper = owner;
    for (size_t i = 0; i < count; i++)
        udp_gather_add(keeper->gather, keeper->out, &keeper->path, NULL, 0,
                       bytes_of(datagrams[i].data, datagrams[i].size), 0, 0, &keeper->run);
    keeper->received += count;
}

static void keeper_release(void *owner)
{
    struct keeper *keeper = owner;
    keeper->releases++;
    udp_gather_flush(keeper->gather);
}

/** Eight relays' datagrams leave through one socket in one message, unless memory runs out. */
static void check_too_long(int family, unsigned type, unsigned code)
{
    if (family == NET_IPV6 && !has_ipv6_loopback())
        return;
    struct bench *bench = bench_new(family, false);
    uint32_t run = UDP_GATHER_NO_RUN;
    // a router's forged word does not make it 600
    if (family == NET_IPV4 && forge_fragmentation_needed(bench, 600) == 0)
        turn_until(&bench->loop, bench->ends[0].error_count == 1);
    size_t before = bench->ends[0].error_count;
    add(bench, 1, (struct shape){ 4, 0, 1396, 0 }, UDP_GATHER_DONT_FRAGMENT, &run);
    add(bench, 1, (struct shape){ 4, 1, 1500, 0 }, UDP_GATHER_DONT_FRAGMENT, &run);
    add(bench, 1, (struct shape){ 4, 2, 1500, 0 }, 0, &run); // fragmented
    add(bench, 1, (struct shape){ 4, 3, 1500, 0 }, 0, &run);
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, bench->ends[1].count == 3 && bench->ends[0].error_count > before);
    check_arrived(bench, 1, 0, (struct shape){ 4, 0, 1396, 0 });
    check_arrived(bench, 1, 1, (struct shape){ 4, 2, 1500, 0 });
    check_arrived(bench, 1, 2, (struct shape){ 4, 3, 1500, 0 });
    struct net_address to = udp_socket_address(bench->ends[1].socket);
    assert_true(net_address_equal(&bench->ends[0].error_about, &to));
    assert_int_equal(bench->ends[0].error_type, type);
    assert_int_equal(bench->ends[0].error_code, code);
    assert_int_equal(bench->ends[0].error_data, 1500);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEND_TOO_LONG), 1);
    assert_int_equal(counted(bench, RUNTIME_UDP_SEGMENTATION_REFUSED), 0);
    bench_free(bench);
}

static void test_too_long_for_the_link_is_reported_with_df_and_cut_without(void **state)
{
    (void)state;
    int before = enter_network();
    if (before < 0)
        skip();
    check_too_long(NET_IPV4, 3, 4);
    check_too_long(NET_IPV6, 2, 0);
    leave_network(before);
}

static void test_kept_bytes_stay_until_they_are_released(void **state)
{
    (void)state;
    static const struct udp_ops keeper_ops = { .received = keeper_received };
    struct bench *bench = bench_new(NET_IPV4, false);
    struct keeper keeper = { .memory = udp_memory_new(),
                             .gather = udp_gather_new(),
                             .out = bench->ends[0].socket,
                             .path = path_to(bench, 1),
                             .run = UDP_GATHER_NO_RUN };
    udp_memory_keep(keeper.memory, keeper_release, &keeper);
    struct udp_config config = relay_config(bench, NET_IPV4);
    config.memory = keeper.memory;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(
            udp_socket_open(&config, &bench->loop, &keeper_ops, &keeper, &keeper.sockets[i]), 0);
        struct net_path to = { .remote = udp_socket_address(keeper.sockets[i]) };
        for (size_t j = 0; j < 40; j++) {
            uint32_t run = UDP_GATHER_NO_RUN;
            udp_gather_add(bench->gather, bench->ends[2].socket, &to, NULL, 0,
                           bytes_of(bench->source + i * 100 + j, 1200), 0, 0, &run);
        }
    }
    udp_gather_flush(bench->gather);
    turn_until(&bench->loop, keeper.received == 320);
    udp_memory_release(keeper.memory);
    size_t releases = keeper.releases;
    assert_true(releases > 0);
    udp_memory_release(keeper.memory); // nothing left: no call
    assert_int_equal(keeper.releases, releases);
    turn_until(&bench->loop, bench->ends[1].count == 320);
    bool seen[8][40] = { 0 };
    for (size_t i = 0; i < 320; i++) {
        bool found = false;
        for (size_t j = 0; j < 320 && !found; j++) {
            found =
                !seen[j / 40][j % 40] &&
                memcmp(bench->ends[1].bytes[i], bench->source + j / 40 * 100 + j % 40, 1200) == 0;
            if (found)
                seen[j / 40][j % 40] = true;
        }
        assert_true(found);
    }
    for (size_t i = 0; i < 8; i++)
        udp_socket_close(keeper.sockets[i]);
    udp_gather_free(keeper.gather);
    udp_memory_free(keeper.memory);
    bench_free(bench);
}

static void test_a_light_socket_is_exclusive_and_bound_to_its_address(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NET_IPV4, false);
    struct udp_config config = relay_config(bench, NET_IPV4);
    struct udp_socket *second = NULL;
    config.bind = udp_socket_address(bench->ends[0].socket);
    assert_int_equal(config.bind.family, NET_IPV4);
    assert_int_not_equal(config.bind.port, 0);
    assert_int_equal(udp_socket_open(&config, &bench->loop, &ops, NULL, &second), -EADDRINUSE);
    config.exclusive = false;
    assert_int_equal(udp_socket_open(&config, &bench->loop, &ops, NULL, &second), -EADDRINUSE);
    assert_null(second);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interleaved_destinations_form_runs_over_ipv4),
        cmocka_unit_test(test_interleaved_destinations_form_runs_over_ipv6),
        cmocka_unit_test(test_without_gso_every_datagram_is_its_own_message),
        cmocka_unit_test(test_equal_datagrams_leave_as_one_message_of_at_most_64_and_65000_bytes),
        cmocka_unit_test(test_a_stale_hint_is_harmless),
        cmocka_unit_test(test_each_datagram_leaves_from_its_own_socket),
        cmocka_unit_test(test_more_runs_than_fit_flush_by_themselves_in_order),
        cmocka_unit_test(
            test_a_refused_run_goes_singly_and_long_segments_do_not_take_runs_from_all),
        cmocka_unit_test(test_what_waits_for_a_closed_socket_is_forgotten_and_the_rest_is_sent),
        cmocka_unit_test(test_a_closed_port_is_reported_and_disturbs_nobody),
        cmocka_unit_test(test_reports_are_limited_and_a_flood_of_them_ends),
        cmocka_unit_test(test_dont_fragment_sets_df_on_that_datagram_alone),
        cmocka_unit_test(test_a_forged_icmp_message_is_told_and_changes_no_datagram),
        cmocka_unit_test(test_too_long_for_the_link_is_reported_with_df_and_cut_without),
        cmocka_unit_test(test_kept_bytes_stay_until_they_are_released),
        cmocka_unit_test(test_a_light_socket_is_exclusive_and_bound_to_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
