#include "unit/runtime/turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/jobs.h"
#include "runtime/resolver.h"

struct bench {
    struct loop loop;
    struct jobs *jobs;
    struct job_inbox inbox;
    pthread_t thread;
    unsigned done;
    sem_t gate;
};

static void bench_init(struct bench *bench, uint32_t threads, uint32_t limit)
{
    *bench = (struct bench){ .thread = pthread_self() };
    sem_init(&bench->gate, 0, 0);
    assert_int_equal(loop_init(&bench->loop), 0);
    assert_int_equal(jobs_start(threads, limit, &bench->jobs), 0);
    assert_int_equal(job_inbox_init(&bench->inbox, &bench->loop, bench->jobs), 0);
}

static void bench_done(struct bench *bench)
{
    job_inbox_done(&bench->inbox);
    bench->jobs = jobs_stop(bench->jobs);
    loop_done(&bench->loop);
    sem_destroy(&bench->gate);
}

struct sum {
    struct job job;
    struct bench *bench;
    uint64_t input, output;
    bool elsewhere;
    unsigned again;
};

static void work_sum(struct job *job)
{
    struct sum *sum = container_of(job, struct sum, job);
    sum->output = sum->input * 2;
    sum->elsewhere = !pthread_equal(pthread_self(), sum->bench->thread);
}

static void done_sum(struct job *job)
{
    struct sum *sum = container_of(job, struct sum, job);
    assert_true(sum->elsewhere);
    assert_true(pthread_equal(pthread_self(), sum->bench->thread));
    assert_int_equal(sum->output, sum->input * 2);
    sum->bench->done++;
    if (sum->again-- > 0)
        assert_int_equal(job_submit(&sum->bench->inbox, job), 0);
    else
        free(sum);
}

static void test_jobs_work_elsewhere_and_complete_here_and_may_be_submitted_again(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 3, 0);
    for (uint64_t i = 0; i < 300; i++) {
        struct sum *sum = memory_new(struct sum);
        *sum = (struct sum){ { work_sum, done_sum, NULL, NULL }, &bench, i, 0, false, 2 };
        assert_int_equal(job_submit(&bench.inbox, &sum->job), 0);
    }
    turn_until(&bench.loop, bench.done == 900);
    bench_done(&bench);
}

static void work_gate(struct job *job)
{
    struct sum *sum = container_of(job, struct sum, job);
    while (sem_wait(&sum->bench->gate) < 0)
        ;
    work_sum(job);
}

static void test_pool_refuses_beyond_its_limit_and_inbox_end_completes_what_is_out(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 1, 4);
    int accepted = 0;
    struct sum *refused = NULL;
    // one may be in work, four may wait: the seventh is refused whatever the thread did
    for (uint64_t i = 0; i < 7; i++) {
        struct sum *sum = memory_new(struct sum);
        *sum = (struct sum){ { work_gate, done_sum, NULL, NULL }, &bench, i, 0, false, 0 };
        if (job_submit(&bench.inbox, &sum->job) == 0) {
            accepted++;
        } else {
            free(refused);
            refused = sum;
        }
    }
    assert_non_null(refused);
    free(refused);
    assert_in_range(accepted, 4, 5);
    for (int i = 0; i < accepted; i++)
        sem_post(&bench.gate);
    job_inbox_done(&bench.inbox);
    assert_int_equal(bench.done, accepted);
    bench_done(&bench);
}

struct answer {
    unsigned calls;
    struct resolver_result result;
};

static void on_resolved(void *owner, const struct resolver_result *result)
{
    struct answer *answer = owner;
    answer->calls++;
    answer->result = *result;
}

static void test_resolver_answers_addresses_names_and_failures_unless_cancelled(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 2, 0);
    struct answer number = { 0 }, local = { 0 }, bad = { 0 }, cancelled = { 0 };
    struct resolver_query *query = NULL;
    assert_int_equal(resolver_lookup(&bench.inbox, "192.0.2.7", 99, on_resolved, &number, NULL), 0);
    assert_int_equal(resolver_lookup(&bench.inbox, "localhost", 80, on_resolved, &local, NULL), 0);
    // not a name that any resolver would be asked for
    assert_int_equal(resolver_lookup(&bench.inbox, "not a name", 80, on_resolved, &bad, NULL), 0);
    assert_int_equal(resolver_lookup(&bench.inbox, "192.0.2.8", 1, on_resolved, &cancelled, &query),
                     0);
    resolver_cancel(query);
    turn_until(&bench.loop,
               number.calls && local.calls && bad.calls && bench.inbox.outstanding == 0);
    struct net_address expected = net_address_ipv4(192, 0, 2, 7, 99);
    assert_int_equal(number.result.error, 0);
    assert_int_equal(number.result.count, 1);
    assert_true(net_address_equal(&number.result.addresses[0], &expected));
    assert_int_equal(local.result.error, 0);
    assert_true(net_address_is_loopback(&local.result.addresses[0]));
    assert_int_equal(local.result.addresses[0].port, 80);
    assert_int_not_equal(bad.result.error, 0);
    assert_int_equal(bad.result.count, 0);
    assert_int_equal(cancelled.calls, 0);
    char long_name[400];
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(resolver_lookup(&bench.inbox, long_name, 1, on_resolved, &bad, NULL),
                     -ENAMETOOLONG);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_work_elsewhere_and_complete_here_and_may_be_submitted_again),
        cmocka_unit_test(test_pool_refuses_beyond_its_limit_and_inbox_end_completes_what_is_out),
        cmocka_unit_test(test_resolver_answers_addresses_names_and_failures_unless_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
