// links: users runtime base
//
// Prints how long the loop stands still when another process changes a store of many users:
// bench_user_reload [USERS...]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "runtime/clock.h"
#include "users/user_watch.h"

static char path[96];
static unsigned told;

static void changed(void *owner unused)
{
    told++;
}

static unsigned heard;

static void hear(struct user_listener *self unused, const char *name unused,
                 enum user_fate fate unused)
{
    heard++;
}

static struct user_store *open_store(void)
{
    char text[256];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct user_store *store = NULL;
    if (user_store_open(path, &store, &problem) < 0) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
    return store;
}

static void check(int result)
{
    if (result < 0) {
        fprintf(stderr, "the store: %s\n", strerror(-result));
        exit(1);
    }
}

static void add(struct user_store *store, size_t from, size_t end)
{
    struct user_keys keys = { .scram_sha256 = {
                                  .kind = HASH_SHA256, .iterations = 20000, .salt_size = 16 } };
    char name[24];
    check(user_store_begin(store));
    for (size_t i = from; i < end; i++) {
        snprintf(name, sizeof(name), "user%07zu", i);
        check(user_store_add(store, name, "roost", &keys, 1));
    }
    check(user_store_end(store, true));
}

/** The longest time of the loop's turns until the change is told, without what it waited. */
static uint64_t longest_turn_us(struct loop *loop, unsigned until)
{
    uint64_t longest = 0;
    while (told < until) {
        uint64_t begin = clock_now_us(), waited = loop_waited_us(loop);
        loop_turn(loop, 100 * TIME_US_PER_MS);
        uint64_t rested = loop_waited_us(loop) - waited, whole = clock_now_us() - begin;
        uint64_t took = whole > rested ? whole - rested : 0; // the two clocks are read apart
        longest = took > longest ? took : longest;
    }
    return longest;
}

static void measure(size_t users)
{
    char folder[] = "/tmp/roost-bench-XXXXXX", text[256];
    if (!mkdtemp(folder))
        exit(1);
    snprintf(path, sizeof(path), "%s/users.db", folder);
    struct user_store *store = open_store();
    add(store, 0, users);
    struct loop loop;
    check(loop_init(&loop));
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct user_watch *watch;
    struct user_watch_config config = {
        .loop = &loop, .path = path, .realm = "roost", .interval_us = 1000, .changed = changed
    };
    check(user_watch_open(&config, &watch, &problem));
    struct user_listener listener = { .changed = hear };
    user_watch_listen(watch, &listener);
    told = heard = 0;
    check(user_store_set_role(store, "user0000007", "roost", USER_ROLE_MODERATOR));
    uint64_t one_us = longest_turn_us(&loop, 1);
    add(store, users, 2 * users);
    uint64_t all_us = longest_turn_us(&loop, 2);
    printf("%8zu users: %8.2f ms when one is changed, %8.2f ms when as many are added\n", users,
           (double)one_us / 1000, (double)all_us / 1000);
    user_watch_unlisten(&listener);
    user_watch_close(watch);
    user_store_close(store);
    loop_done(&loop);
    unlink(path);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        measure(100000);
    for (int i = 1; i < argc; i++)
        measure((size_t)atol(argv[i]));
    return 0;
}
