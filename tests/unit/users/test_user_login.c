// The login service with threads that do nothing until the test says so, and time of the test's.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"
#include "users/user_login.h"

#define WAITING_MAX 2048

struct world {
    struct loop loop; /**< for its clock alone */
    struct random random;
    struct user_list users;
    struct user items[2];
    struct job *waiting[WAITING_MAX];
    size_t waiting_count;
    bool refuse_jobs;
    struct user_login *login;
    uint64_t now_us;
};

static const struct user_list *users_of(void *owner)
{
    struct world *world = owner;
    return &world->users;
}

static int submit(void *owner, struct job *job)
{
    struct world *world = owner;
    if (world->refuse_jobs)
        return -EAGAIN;
    assert_true(world->waiting_count < WAITING_MAX);
    world->waiting[world->waiting_count++] = job;
    return 0;
}

/** All that was asked for is reported, and worked on before but for the first `skipped`. */
static void run_jobs_after(struct world *world, size_t skipped)
{
    world->loop.now_us = world->now_us;
    for (size_t i = skipped; i < world->waiting_count; i++)
        world->waiting[i]->work(world->waiting[i]);
    for (size_t i = 0; i < world->waiting_count; i++)
        world->waiting[i]->done(world->waiting[i]);
    world->waiting_count = 0;
}

static void run_jobs(struct world *world)
{
    run_jobs_after(world, 0);
}

/** Cheaper than those of real users, since here they are checked by the hundred. */
static void set_password(struct world *world, struct user *user, const char *password)
{
    uint8_t salt[8];
    random_fill(&world->random, salt, sizeof(salt));
    scram_verifier_make(&user->keys.scram_sha256, HASH_SHA256, bytes_of_text(password),
                        bytes_of(salt, sizeof(salt)), 10);
}

static int set_up(void **state)
{
    static char names[2][4] = { "ann", "ben" }, realm[] = "roost";
    struct world *world = memory_new(struct world);
    random_seeded_init(&world->random, 7);
    world->now_us = 1000 * TIME_US_PER_S;
    world->users = (struct user_list){ .items = world->items, .count = 2 };
    for (size_t i = 0; i < 2; i++)
        world->items[i] = (struct user){ .name = names[i], .realm = realm };
    set_password(world, &world->items[0], "the password of ann");
    set_password(world, &world->items[1], "the password of ben");
    world->items[1].role = USER_ROLE_MODERATOR;
    struct user_login_config config = { .loop = &world->loop,
                                        .random = &world->random,
                                        .users = users_of,
                                        .submit = submit,
                                        .owner = world };
    assert_int_equal(user_login_new(&config, &world->login), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    run_jobs(world);
    user_login_free(world->login);
    free(world);
    return 0;
}

struct visit {
    struct user_login_request request;
    int result;
    unsigned called;
};

static void visited(struct user_login_request *request, int result)
{
    struct visit *visit = container_of(request, struct visit, request);
    visit->result = result;
    visit->called++;
}

static const struct net_address *stranger(void)
{
    static struct net_address address;
    address = net_address_ipv4(203, 0, 113, 9, 5000);
    return &address;
}

static int start(struct world *world, struct visit *visit, const char *name, const char *password,
                 const struct net_address *remote)
{
    *visit = (struct visit){ .request = { .done = visited } };
    struct user_login_attempt attempt = { .name = bytes_of_text(name),
                                          .password = bytes_of_text(password),
                                          .remote = *remote,
                                          .protocol = "test" };
    return user_login_check(world->login, &attempt, &visit->request, world->now_us);
}

/** The result of one login, however long it takes. */
static int visit_from(struct world *world, const char *name, const char *password,
                      const struct net_address *remote)
{
    struct visit visit;
    int result = start(world, &visit, name, password, remote);
    if (result != -EINPROGRESS)
        return result;
    run_jobs(world);
    assert_int_equal(visit.called, 1);
    return visit.result;
}

static int visit(struct world *world, const char *name, const char *password)
{
    return visit_from(world, name, password, stranger());
}

static uint64_t metric(const struct world *world, const char *name, const char *labels)
{
    struct metric_set set = user_login_metrics(world->login);
    for (size_t i = 0; i < set.count; i++) {
        if (strcmp(set.descriptions[i].name, name) == 0 &&
            strcmp(set.descriptions[i].labels, labels) == 0)
            return metric_get(&set.values[i]);
    }
    fail_msg("no metric %s", name);
    return 0;
}

static void a_password_opens_and_says_as_whom(void **state)
{
    struct world *world = *state;
    struct visit visit;
    assert_int_equal(start(world, &visit, "ben", "the password of ben", stranger()), -EINPROGRESS);
    assert_int_equal(visit.called, 0);
    assert_int_equal(metric(world, "logins_pending", ""), 1);
    run_jobs(world);
    assert_int_equal(visit.called, 1);
    assert_int_equal(visit.result, 0);
    assert_text_equal(visit.request.name, "ben");
    assert_int_equal(visit.request.role, USER_ROLE_MODERATOR);
    assert_int_equal(metric(world, "logins_pending", ""), 0);
    assert_int_equal(metric(world, "logins_total", "result=\"admitted\""), 1);
}

static void others_are_refused_after_the_same_work(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name, *password;
    } wrong[] = { { "ann", "the password of ben" },
                  { "zoe", "the password of ann" },
                  { "", "the password of ann" },
                  { "ann", "" },
                  { "a\tnn", "the password of ann" } };
    for (size_t i = 0; i < array_size(wrong); i++) {
        struct visit visit;
        assert_int_equal(start(world, &visit, wrong[i].name, wrong[i].password, stranger()),
                         -EINPROGRESS);
        assert_int_equal(world->waiting_count, 1);
        run_jobs(world);
        assert_int_equal(visit.result, -EACCES);
    }
    world->items[0].disabled = true;
    struct visit disabled;
    assert_int_equal(start(world, &disabled, "ann", "the password of ann", stranger()),
                     -EINPROGRESS);
    run_jobs(world);
    assert_int_equal(disabled.result, -EACCES);
}

static void a_right_password_is_remembered_until_it_is_another(void **state)
{
    struct world *world = *state;
    assert_int_equal(visit(world, "ann", "the password of ann"), 0);
    struct visit again;
    assert_int_equal(start(world, &again, "ann", "the password of ann", stranger()), 0);
    assert_text_equal(again.request.name, "ann");
    assert_int_equal(metric(world, "logins_remembered_total", ""), 1);
    assert_int_equal(start(world, &again, "ann", "another", stranger()), -EINPROGRESS);
    run_jobs(world);
    assert_int_equal(again.result, -EACCES);
    // disabled and enabled
    world->items[0].disabled = true;
    assert_int_equal(visit(world, "ann", "the password of ann"), -EACCES);
    world->items[0].disabled = false;
    assert_int_equal(start(world, &again, "ann", "the password of ann", stranger()), 0);
    // another password
    set_password(world, &world->items[0], "the new one");
    assert_int_equal(visit(world, "ann", "the password of ann"), -EACCES);
    assert_int_equal(visit(world, "ann", "the new one"), 0);
    // an hour later
    assert_int_equal(start(world, &again, "ann", "the new one", stranger()), 0);
    world->now_us += 3601 * TIME_US_PER_S;
    assert_int_equal(start(world, &again, "ann", "the new one", stranger()), -EINPROGRESS);
    run_jobs(world);
}

static void who_changes_while_it_is_checked_is_refused(void **state)
{
    struct world *world = *state;
    struct visit visit;
    assert_int_equal(start(world, &visit, "ann", "the password of ann", stranger()), -EINPROGRESS);
    set_password(world, &world->items[0], "the new one");
    run_jobs(world);
    assert_int_equal(visit.result, -EACCES);
    assert_int_equal(start(world, &visit, "ann", "the new one", stranger()), -EINPROGRESS);
    world->users.count = 0;
    run_jobs(world);
    assert_int_equal(visit.result, -EACCES);
}

static void many_with_one_password_are_checked_once(void **state)
{
    struct world *world = *state;
    struct visit visits[100];
    for (size_t i = 0; i < array_size(visits); i++) {
        struct net_address remote = net_address_ipv4(198, 51, 100, (uint8_t)i, 1);
        assert_int_equal(start(world, &visits[i], "ann", "the password of ann", &remote),
                         -EINPROGRESS);
    }
    assert_int_equal(world->waiting_count, 1);
    run_jobs(world);
    for (size_t i = 0; i < array_size(visits); i++)
        assert_int_equal(visits[i].result, 0);
}

static void whoever_goes_is_not_called(void **state)
{
    struct world *world = *state;
    struct visit first, second;
    assert_int_equal(start(world, &first, "ann", "the password of ann", stranger()), -EINPROGRESS);
    assert_int_equal(start(world, &second, "ann", "the password of ann", stranger()), -EINPROGRESS);
    user_login_cancel(&first.request, world->now_us);
    user_login_cancel(&first.request, world->now_us);
    run_jobs(world);
    assert_int_equal(first.called, 0);
    assert_int_equal(second.called, 1);
    user_login_cancel(&second.request, world->now_us);
    // and it does not save the price of a wrong one
    for (unsigned i = 0; i < 4; i++) {
        char password[8];
        snprintf(password, sizeof(password), "%u", i);
        assert_int_equal(start(world, &first, "ann", password, stranger()), -EINPROGRESS);
        user_login_cancel(&first.request, world->now_us);
        run_jobs(world);
    }
    assert_int_equal(start(world, &first, "ann", "the password of ann", stranger()), -EAGAIN);
}

static void whoever_guesses_is_slowed(void **state)
{
    struct world *world = *state;
    // five for one account
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(visit(world, "ann", "a guess"), -EACCES);
    assert_int_equal(visit(world, "ann", "a guess"), -EAGAIN);
    assert_int_equal(visit(world, "ann", "the password of ann"), -EAGAIN);
    // what is refused costs nothing more, and other accounts are open
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(visit(world, "ann", "a guess"), -EAGAIN);
    assert_int_equal(visit(world, "ben", "the password of ben"), 0);
    world->now_us += 10 * TIME_US_PER_S;
    assert_int_equal(visit(world, "ann", "the password of ann"), 0);
    assert_int_equal(visit(world, "ann", "a guess"), -EACCES);
    assert_int_equal(visit(world, "ann", "a guess"), -EAGAIN);
}

static void an_address_has_so_many_guesses_for_all_accounts(void **state)
{
    struct world *world = *state;
    char name[16];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "nobody%u", i);
        assert_int_equal(visit(world, name, "a guess"), -EACCES);
    }
    assert_int_equal(visit(world, "nobody", "a guess"), -EAGAIN);
    assert_int_equal(visit(world, "ann", "the password of ann"), -EAGAIN);
    // another address, and its neighbours of the same /64
    struct net_address one, other, third;
    assert_int_equal(net_address_parse_ip("2001:db8::1", 1, &one), 0);
    assert_int_equal(net_address_parse_ip("2001:db8::2", 1, &other), 0);
    assert_int_equal(net_address_parse_ip("2001:db8:0:1::2", 1, &third), 0);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "nobody%u", i);
        assert_int_equal(visit_from(world, name, "a guess", i % 2 ? &one : &other), -EACCES);
    }
    assert_int_equal(visit_from(world, "nobody", "a guess", &one), -EAGAIN);
    assert_int_equal(visit_from(world, "nobody", "a guess", &third), -EACCES);
    world->now_us += TIME_US_PER_S;
    assert_int_equal(visit(world, "nobody", "a guess"), -EACCES);
    assert_int_equal(visit(world, "nobody", "a guess"), -EAGAIN);
}

static void nobody_locks_out_who_was_here_before(void **state)
{
    struct world *world = *state;
    assert_int_equal(visit(world, "ann", "the password of ann"), 0);
    char name[16];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "nobody%u", i);
        (void)!visit(world, name, "a guess");
    }
    assert_int_equal(visit(world, "ben", "the password of ben"), -EAGAIN);
    assert_int_equal(visit(world, "ann", "the password of ann"), 0);
    // a thousand other addresses that guess for ann
    for (unsigned i = 0; i < 1000; i++) {
        struct net_address remote = net_address_ipv4(10, 1, (uint8_t)(i >> 8), (uint8_t)i, 1);
        (void)!visit_from(world, "ann", "a guess", &remote);
    }
    assert_int_equal(visit(world, "ann", "the password of ann"), 0);
}

static void proxies_are_not_slowed(void **state)
{
    struct world *world = *state;
    struct net_address proxy = net_address_ipv4(127, 0, 0, 1, 9);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(visit_from(world, "ann", "a guess", &proxy), -EACCES);
    assert_int_equal(visit_from(world, "ann", "the password of ann", &proxy), 0);
}

/** Starts logins with passwords of their own until one is refused. */
static size_t fill(struct world *world, struct visit *visits, size_t count,
                   const struct net_address *remote, bool one_account)
{
    for (size_t i = 0; i < count; i++) {
        char name[16], password[32];
        snprintf(name, sizeof(name), one_account ? "ann" : "user%zu", i);
        snprintf(password, sizeof(password), "%zu of %u", i, remote->ip[3]);
        int result = start(world, &visits[i], name, password, remote);
        if (result == -EINPROGRESS)
            continue;
        assert_int_equal(result, -EBUSY);
        return i;
    }
    return count;
}

static void what_waits_is_bounded_per_address_and_in_all(void **state)
{
    struct world *world = *state;
    struct visit *visits = memory_new_array(struct visit, WAITING_MAX);
    struct visit own;
    assert_int_equal(fill(world, visits, 100, stranger(), true), 4);
    struct net_address second = net_address_ipv4(203, 0, 113, 10, 1);
    assert_int_equal(fill(world, visits + 100, 100, &second, false), 64);
    // a right password of another address waits behind them, and is not refused
    struct net_address third = net_address_ipv4(203, 0, 113, 11, 1);
    assert_int_equal(start(world, &own, "ann", "the password of ann", &third), -EINPROGRESS);
    run_jobs_after(world, world->waiting_count - 1);
    assert_int_equal(own.result, 0);
    struct net_address proxy = net_address_ipv4(127, 0, 0, 1, 9);
    assert_int_equal(fill(world, visits, 1000, &proxy, true), 512);
    size_t all = 512;
    for (unsigned i = 0; i < 100; i++) {
        struct net_address remote = net_address_ipv4(10, 0, 0, (uint8_t)i, 1);
        all += fill(world, visits + all, 100, &remote, false);
    }
    assert_int_equal(all, 1024);
    run_jobs_after(world, world->waiting_count);
    // threads that take nothing more
    world->refuse_jobs = true;
    assert_int_equal(start(world, &own, "ben", "the password of ben", &third), -EBUSY);
    assert_int_equal(metric(world, "logins_pending", ""), 0);
    free(visits);
}

/** With the object's own thread. */
static void a_thread_of_its_own_does_the_work(void **state)
{
    struct world *world = *state;
    struct loop loop;
    struct user_login *login;
    assert_int_equal(loop_init(&loop), 0);
    struct user_login_config config = {
        .loop = &loop, .random = &world->random, .users = users_of, .owner = world
    };
    assert_int_equal(user_login_new(&config, &login), 0);
    struct visit visit = { .request = { .done = visited } };
    struct user_login_attempt attempt = { .name = bytes_of_text("ann"),
                                          .password = bytes_of_text("the password of ann"),
                                          .remote = *stranger(),
                                          .protocol = "test" };
    assert_int_equal(user_login_check(login, &attempt, &visit.request, loop_now_us(&loop)),
                     -EINPROGRESS);
    while (!visit.called)
        loop_turn(&loop, TIME_US_PER_S);
    assert_int_equal(visit.result, 0);
    // one that nobody waits for when it ends
    attempt.password = bytes_of_text("another");
    assert_int_equal(user_login_check(login, &attempt, &visit.request, loop_now_us(&loop)),
                     -EINPROGRESS);
    user_login_free(login);
    assert_int_equal(visit.called, 1);
    loop_done(&loop);
}

/** Accounts whose keys take long hold up each other alone. */
static void slow_keys_hold_up_nobody_else(void **state)
{
    struct world *world = *state;
    struct loop loop;
    struct user_login *login;
    uint8_t salt[8] = { 1 };
    assert_int_equal(loop_init(&loop), 0);
    scram_verifier_make(&world->items[1].keys.scram_sha256, HASH_SHA256,
                        bytes_of_text("the password of ben"), bytes_of(salt, sizeof(salt)),
                        SCRAM_ITERATIONS_MAX);
    struct user_login_config config = {
        .loop = &loop, .random = &world->random, .users = users_of, .owner = world
    };
    assert_int_equal(user_login_new(&config, &login), 0);
    struct visit slow[3], quick = { .request = { .done = visited } };
    struct user_login_attempt attempt = { .name = bytes_of_text("ben"),
                                          .remote = *stranger(),
                                          .protocol = "test" };
    char password[16];
    for (size_t i = 0; i < array_size(slow); i++) {
        slow[i] = (struct visit){ .request = { .done = visited } };
        snprintf(password, sizeof(password), "a guess %zu", i);
        attempt.password = bytes_of_text(password);
        assert_int_equal(user_login_check(login, &attempt, &slow[i].request, loop_now_us(&loop)),
                         -EINPROGRESS);
    }
    attempt.name = bytes_of_text("ann");
    attempt.password = bytes_of_text("the password of ann");
    assert_int_equal(user_login_check(login, &attempt, &quick.request, loop_now_us(&loop)),
                     -EINPROGRESS);
    while (!quick.called)
        loop_turn(&loop, TIME_US_PER_S);
    assert_int_equal(quick.result, 0);
    // a hundred thousand times the work was before it
    assert_int_equal(slow[2].called, 0);
    user_login_free(login);
    loop_done(&loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_password_opens_and_says_as_whom),
        TEST(others_are_refused_after_the_same_work),
        TEST(a_right_password_is_remembered_until_it_is_another),
        TEST(who_changes_while_it_is_checked_is_refused),
        TEST(many_with_one_password_are_checked_once),
        TEST(whoever_goes_is_not_called),
        TEST(whoever_guesses_is_slowed),
        TEST(an_address_has_so_many_guesses_for_all_accounts),
        TEST(nobody_locks_out_who_was_here_before),
        TEST(proxies_are_not_slowed),
        TEST(what_waits_is_bounded_per_address_and_in_all),
        TEST(a_thread_of_its_own_does_the_work),
        TEST(slow_keys_hold_up_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
