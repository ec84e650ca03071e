/** What all workers share, used by several threads at once: meant for the thread sanitizer. */
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/time.h"
#include "proto/turn/turn_ports.h"
#include "proto/turn/turn_quota.h"
#include "proto/turn/turn_settings.h"

#define THREADS 4
#define ROUNDS  5000

/** Runs `run` with the numbers 0 to THREADS - 1 in `argument`. */
struct job {
    void (*run)(struct job *job);
    void *shared;
    pthread_barrier_t *ready;
    unsigned number;
    uint64_t result;
};

static void *start(void *argument)
{
    struct job *job = argument;
    pthread_barrier_wait(job->ready); // so that they really meet
    job->run(job);
    return NULL;
}

static uint64_t run_all(void (*run)(struct job *job), void *shared)
{
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    pthread_barrier_t ready;
    uint64_t sum = 0;
    assert_int_equal(pthread_barrier_init(&ready, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){ .run = run, .shared = shared, .ready = &ready, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, start, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += jobs[i].result;
    }
    assert_int_equal(pthread_barrier_destroy(&ready), 0);
    return sum;
}

/** Takes a port, and where there is room the next one; all must be its own. */
static void use_ports(struct job *job)
{
    struct turn_ports *ports = job->shared;
    struct random random;
    random_seeded_init(&random, job->number + 1);
    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        uint16_t port, claimed;
        uint64_t token;
        size_t index;
        bool pair = i % 3 == 0;
        if (turn_ports_take(ports, 0, pair ? TURN_PORT_EVEN : TURN_PORT_ANY, job->number, &random,
                            &port, pair ? &token : NULL) != 0)
            continue;
        job->result += turn_ports_owner(ports, 0, port) != job->number;
        if (pair && i % 2 == 0) {
            job->result += turn_ports_claim(ports, token, job->number, &index, &claimed) != 0;
            job->result += turn_ports_owner(ports, 0, claimed) != job->number;
            turn_ports_give_back(ports, index, claimed);
        } else if (pair) {
            turn_ports_expire(ports, token);
        }
        turn_ports_give_back(ports, 0, port);
    }
}

static void test_no_two_workers_get_one_port(void **state)
{
    (void)state;
    struct turn_relay_address address = { .bind = net_address_ipv4(10, 0, 0, 1, 0),
                                          .told = net_address_ipv4(10, 0, 0, 1, 0) };
    // as few ports as threads, so that they meet
    struct turn_ports_config config = {
        .addresses = &address, .address_count = 1, .port_min = 50000, .port_max = 50003
    };
    struct turn_ports *ports = turn_ports_new(&config);
    assert_int_equal(run_all(use_ports, ports), 0);
    assert_int_equal(turn_ports_taken(ports), 0);
    // no half of a pair was left behind
    struct random random;
    random_seeded_init(&random, 1);
    for (unsigned i = 0; i < 4; i++) {
        uint16_t port;
        assert_int_equal(turn_ports_take(ports, 0, TURN_PORT_ANY, 0, &random, &port, NULL), 0);
    }
    turn_ports_free(ports);
}

/** One token, and everyone wants it. */
struct contest {
    struct turn_ports *ports;
    _Atomic uint64_t token;
};

static void claim_tokens(struct job *job)
{
    struct contest *contest = job->shared;
    struct random random;
    random_seeded_init(&random, job->number + 1);
    uint16_t port;
    size_t index;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t token = atomic_load(&contest->token);
        if (job->number == 0 && token == 0) {
            if (turn_ports_take(contest->ports, 0, TURN_PORT_EVEN, 0, &random, &port, &token) != 0)
                continue;
            turn_ports_give_back(contest->ports, 0, port);
            atomic_store(&contest->token, token);
        } else if (token != 0 &&
                   turn_ports_claim(contest->ports, token, job->number, &index, &port) == 0) {
            job->result++;
            turn_ports_give_back(contest->ports, index, port);
            atomic_store(&contest->token, 0);
        }
    }
}

static void test_a_token_is_claimed_by_one(void **state)
{
    (void)state;
    struct turn_relay_address address = { .bind = net_address_ipv4(10, 0, 0, 1, 0),
                                          .told = net_address_ipv4(10, 0, 0, 1, 0) };
    struct turn_ports_config config = {
        .addresses = &address, .address_count = 1, .port_min = 50000, .port_max = 50099
    };
    struct contest contest = { .ports = turn_ports_new(&config) };
    assert_true(run_all(claim_tokens, &contest) > 0);
    turn_ports_expire(contest.ports, contest.token);
    // a token claimed twice would have given its port back twice, which aborts
    assert_int_equal(turn_ports_taken(contest.ports), 0);
    turn_ports_free(contest.ports);
}

static void join_and_leave(struct job *job)
{
    struct turn_quota *quota = job->shared;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user %u", i % 7);
        struct turn_user *user;
        if (turn_quota_join(quota, bytes_of_text(name), &user) != 0)
            continue;
        job->result += turn_quota_spend(quota, user, i, 100) ? 100 : 0;
        struct net_address source = net_address_ipv4(192, 0, (uint8_t)i, 1, 1);
        job->result += turn_quota_stranger(quota, &source, i);
        if (i % 100 == job->number) {
            struct turn_quota_limits limits = turn_quota_limits(quota);
            limits.allocations_per_user = 1 + i % 3;
            turn_quota_set_limits(quota, &limits);
        }
        turn_quota_leave(quota, user);
    }
}

static void test_users_join_and_leave_on_all_workers(void **state)
{
    (void)state;
    static const uint64_t secret[2] = { 1, 2 };
    struct turn_quota_limits limits = { .allocations = 3,
                                        .allocations_per_user = 2,
                                        .bytes_per_s = 1000000,
                                        .bytes_per_s_per_user = 1000000,
                                        .unauthenticated_per_s = 10,
                                        .unauthenticated_burst = 10 };
    struct turn_quota *quota = turn_quota_new(&limits, secret);
    run_all(join_and_leave, quota);
    assert_int_equal(turn_quota_allocations(quota), 0);
    turn_quota_free(quota); // aborts if a user is left
}

struct account {
    struct turn_quota *quota;
    struct turn_user *user;
};

static void spend(struct job *job)
{
    struct account *account = job->shared;
    for (unsigned i = 0; i < 4 * ROUNDS; i++)
        job->result += turn_quota_spend(account->quota, account->user, 0, 100) ? 100 : 0;
}

static void test_spending_on_all_workers_stays_within_the_limit(void **state)
{
    (void)state;
    static const uint64_t secret[2] = { 1, 2 };
    struct turn_quota_limits limits = { .bytes_per_s_per_user = 1000000 };
    struct account account = { .quota = turn_quota_new(&limits, secret) };
    assert_int_equal(turn_quota_join(account.quota, bytes_of_text("gwen"), &account.user), 0);
    assert_in_range(run_all(spend, &account), 999900, 1000100);
    turn_quota_leave(account.quota, account.user);
    turn_quota_free(account.quota);
}

static void hold_settings(struct job *job)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct turn_settings *settings = turn_settings_ref(job->shared);
        job->result += turn_settings_get(settings)->lifetime_default_s;
        turn_settings_unref(settings);
    }
}

static void test_settings_are_held_by_all_workers(void **state)
{
    (void)state;
    struct turn_settings_config config = { 0 };
    struct turn_settings *settings = turn_settings_new(&config);
    assert_int_equal(run_all(hold_settings, settings), 600ull * THREADS * ROUNDS);
    turn_settings_unref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_two_workers_get_one_port),
        cmocka_unit_test(test_a_token_is_claimed_by_one),
        cmocka_unit_test(test_users_join_and_leave_on_all_workers),
        cmocka_unit_test(test_spending_on_all_workers_stays_within_the_limit),
        cmocka_unit_test(test_settings_are_held_by_all_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
