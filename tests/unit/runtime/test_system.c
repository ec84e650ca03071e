// The small windows to the system: clocks, randomness, signals, service manager, interfaces, cores.
#include "unit/runtime/turns.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/address_limit.h"
#include "runtime/buffer.h"
#include "runtime/cpu.h"
#include "runtime/entropy.h"
#include "runtime/interfaces.h"
#include "runtime/notify.h"
#include "runtime/signals.h"
#include "runtime/terminal.h"

static void test_clocks_go_forward_and_tell_this_century(void **state)
{
    (void)state;
    uint64_t last = clock_now_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_unix_us() / 1000000 - (uint64_t)time(NULL) + 1 <= 2);
}

static void test_entropy_never_repeats_and_wipes_what_it_gave(void **state)
{
    (void)state;
    struct entropy entropy;
    entropy_init(&entropy);
    static uint8_t draws[300][16];
    for (size_t i = 0; i < array_size(draws); i++)
        random_fill(&entropy.random, draws[i], 16);
    for (size_t i = 0; i < array_size(draws); i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(draws[i], draws[j], 16);
    }
    for (size_t i = 0; i < sizeof(entropy.buffer) - entropy.left; i++)
        assert_int_equal(entropy.buffer[i], 0);
    // larger than the buffer, and every bit is both at times
    static uint8_t many[4096];
    random_fill(&entropy.random, many, sizeof(many));
    unsigned ones = 0;
    for (size_t i = 0; i < sizeof(many); i++)
        ones += (unsigned)__builtin_popcount(many[i]);
    assert_in_range(ones, 15500, 17300);
    entropy_done(&entropy);
    for (size_t i = 0; i < sizeof(entropy.buffer); i++)
        assert_int_equal(entropy.buffer[i], 0);
}

struct seen {
    int signals[8];
    int count;
};

static void on_signal(void *owner, int number)
{
    struct seen *seen = owner;
    if (seen->count < 8)
        seen->signals[seen->count++] = number;
}

static void test_signals_arrive_on_the_loop_and_pipes_break_without_one(void **state)
{
    (void)state;
    struct loop loop;
    struct signals signals;
    struct seen seen = { 0 };
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(signals_init(&signals, &loop, on_signal, &seen), 0);
    kill(getpid(), SIGHUP);
    turn_until(&loop, seen.count == 1);
    kill(getpid(), SIGTERM);
    turn_until(&loop, seen.count == 2);
    assert_int_equal(seen.signals[0], SIGHUP);
    assert_int_equal(seen.signals[1], SIGTERM);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    signals_done(&signals);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGTERM));
    loop_done(&loop);
}

static void expect_message(int fd, const char *expected)
{
    char text[600];
    ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    if (strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("got \"%s\", expected \"%s\"", text, expected);
}

static void check_notify(const char *name, int fd)
{
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "30000000", 1);
    char pid[32];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    struct notify notify;
    notify_init(&notify);
    assert_int_equal(notify.watchdog_us, 15000000);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    notify_ready(&notify, "two\nlines");
    expect_message(fd, "READY=1\nSTATUS=two lines\n");
    notify_reloading(&notify);
    expect_message(fd, "RELOADING=1\nMONOTONIC_USEC=");
    notify_status(&notify, "12 rooms");
    expect_message(fd, "STATUS=12 rooms\n");
    notify_watchdog(&notify);
    expect_message(fd, "WATCHDOG=1\n");
    notify_stopping(&notify);
    expect_message(fd, "STOPPING=1\n");
    notify_done(&notify);
    notify_stopping(&notify); // harmless
}

static void test_service_manager_hears_of_every_state(void **state)
{
    (void)state;
    char folder[] = "/tmp/roost-notify-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    check_notify(name.sun_path, fd);
    close(fd);
    unlink(name.sun_path);
    rmdir(folder);
    // the abstract form: '@' stands for a zero byte
    char abstract[64];
    int length = snprintf(abstract, sizeof(abstract), "@roost-notify-%d", (int)getpid());
    memset(&name.sun_path, 0, sizeof(name.sun_path));
    memcpy(name.sun_path + 1, abstract + 1, (size_t)length - 1);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
    check_notify(abstract, fd);
    close(fd);
}

static void test_without_a_service_manager_nothing_is_sent(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    struct notify notify;
    notify_init(&notify);
    assert_int_equal(notify.fd, -1);
    assert_int_equal(notify.watchdog_us, 0);
    notify_ready(&notify, NULL);
    notify_done(&notify);
}

static void test_interfaces_have_loopback_once_and_no_link_local(void **state)
{
    (void)state;
    struct interface_address list[64];
    int count = interface_list(list, 64);
    assert_in_range(count, 1, 64);
    bool loopback = false, ipv6_seen = false;
    for (int i = 0; i < count; i++) {
        const struct interface_address *entry = &list[i];
        assert_true(entry->address.family != NET_NONE && entry->address.port == 0);
        assert_false(entry->address.family == NET_IPV6 &&
                     net_address_is_link_local(&entry->address));
        assert_int_equal(entry->loopback, net_address_is_loopback(&entry->address));
        assert_true(entry->name[0] != '\0' && entry->index > 0);
        ipv6_seen |= entry->address.family == NET_IPV6;
        assert_false(ipv6_seen && entry->address.family == NET_IPV4);
        for (int j = 0; j < i; j++)
            assert_false(net_address_same_ip(&entry->address, &list[j].address));
        loopback |= entry->loopback;
    }
    assert_true(loopback);
    assert_int_equal(interface_list(list, 1), 1);
}

static void *pin_thread(void *unused_argument unused)
{
    cpu_set_t before, after;
    ensure(sched_getaffinity(0, sizeof(before), &before) == 0);
    for (unsigned n = 0; n < (unsigned)CPU_COUNT(&before) + 1; n++) {
        ensure(sched_setaffinity(0, sizeof(before), &before) == 0);
        ensure(cpu_pin(n) == 0);
        ensure(sched_getaffinity(0, sizeof(after), &after) == 0);
        ensure(CPU_COUNT(&after) == 1);
    }
    ensure(cpu_usable_count() == 1);
    return NULL;
}

static void test_cores_are_counted_by_affinity_and_threads_pinned_to_them(void **state)
{
    (void)state;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_in_range(cpu_usable_count(), 1, CPU_COUNT(&set));
    pthread_t thread;
    pthread_create(&thread, NULL, pin_thread, NULL);
    pthread_join(thread, NULL);
}

static void test_a_pipe_is_no_terminal(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(terminal_is(ends[0]));
    assert_false(terminal_has_colour(ends[0]));
    assert_int_equal(terminal_columns(ends[0]), 80);
    close(ends[0]);
    close(ends[1]);
}

static void test_buffer_keeps_order_and_limit_and_holds_nothing_when_empty(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    struct random random;
    random_seeded_init(&random, 3);
    uint8_t in = 0, out = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[300];
        size_t size = random_below(&random, sizeof(bytes));
        for (size_t j = 0; j < size; j++)
            bytes[j] = (uint8_t)(in + j);
        int error = buffer_append(&buffer, bytes_of(bytes, size));
        assert_int_equal(error, buffer_room(&buffer) + (error ? 0 : size) < size ? -ENOSPC : 0);
        if (error == 0)
            in = (uint8_t)(in + size);
        struct bytes view = buffer_view(&buffer);
        size_t take = min_of(view.size, (size_t)random_below(&random, 320));
        for (size_t j = 0; j < take; j++)
            assert_int_equal(view.data[j], out++);
        buffer_consume(&buffer, take);
        assert_true(buffer_size(&buffer) <= 10000);
    }
    buffer_consume(&buffer, buffer_size(&buffer));
    assert_null(buffer.memory);
    buffer_done(&buffer);
}

static void test_address_limit_counts_ipv6_by_network(void **state)
{
    (void)state;
    struct address_limit limit;
    address_limit_init(&limit, 2, 4, (uint64_t[2]){ 5, 6 });
    struct net_address a, b, c;
    assert_int_equal(net_address_parse_ip("2001:db8::1", 1, &a), 0);
    assert_int_equal(net_address_parse_ip("2001:db8::ffff:1", 2, &b), 0);
    assert_int_equal(net_address_parse_ip("2001:db8:0:1::1", 3, &c), 0);
    assert_true(address_limit_take(&limit, &a));
    assert_true(address_limit_take(&limit, &b));
    assert_false(address_limit_take(&limit, &a));
    assert_true(address_limit_take(&limit, &c));
    struct net_address d = net_address_ipv4(192, 0, 2, 1, 1);
    struct net_address e = net_address_ipv4(192, 0, 2, 2, 1);
    assert_true(address_limit_take(&limit, &d));
    assert_false(address_limit_take(&limit, &e)); // the total
    address_limit_release(&limit, &b);
    assert_true(address_limit_take(&limit, &a));
    address_limit_release(&limit, &a);
    address_limit_release(&limit, &a);
    address_limit_release(&limit, &c);
    address_limit_release(&limit, &d);
    assert_int_equal(limit.counts.count, 0);
    address_limit_done(&limit);
}

static void test_address_rate_is_each_ones_own(void **state)
{
    (void)state;
    static struct address_rate rate;
    uint64_t secret[2] = { 1, 2 };
    address_rate_init(&rate, secret);
    struct net_address one = net_address_ipv4(192, 0, 2, 1, 5), two = one;
    two.ip[3] = 2;
    uint64_t now_us = time_from_s(100);
    for (int i = 0; i < 8; i++) {
        one.port++;
        assert_true(address_rate_take(&rate, &one, now_us, 2, 8));
    }
    assert_false(address_rate_take(&rate, &one, now_us, 2, 8));
    assert_true(address_rate_take(&rate, &two, now_us, 2, 8));
    now_us += time_from_s(1);
    assert_true(address_rate_take(&rate, &one, now_us, 2, 8));
    assert_true(address_rate_take(&rate, &one, now_us, 2, 8));
    assert_false(address_rate_take(&rate, &one, now_us, 2, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_go_forward_and_tell_this_century),
        cmocka_unit_test(test_entropy_never_repeats_and_wipes_what_it_gave),
        cmocka_unit_test(test_signals_arrive_on_the_loop_and_pipes_break_without_one),
        cmocka_unit_test(test_service_manager_hears_of_every_state),
        cmocka_unit_test(test_without_a_service_manager_nothing_is_sent),
        cmocka_unit_test(test_interfaces_have_loopback_once_and_no_link_local),
        cmocka_unit_test(test_cores_are_counted_by_affinity_and_threads_pinned_to_them),
        cmocka_unit_test(test_a_pipe_is_no_terminal),
        cmocka_unit_test(test_buffer_keeps_order_and_limit_and_holds_nothing_when_empty),
        cmocka_unit_test(test_address_limit_counts_ipv6_by_network),
        cmocka_unit_test(test_address_rate_is_each_ones_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
