// The directory: its settings, time-outs, metrics, and what it tells whoever keeps a history.
#include "base/time.h"
#include "signal/model/calls_int.h"

static const struct metric_description descriptions[CALL_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(CALL_METRIC_##id, __VA_ARGS__)
#include "signal/model/call_metrics.def"
#undef METRIC
};

static void set_defaults(struct call_directory_config *config)
{
    if (!config->ring_timeout_us)
        config->ring_timeout_us = 45 * TIME_US_PER_S;
    if (!config->user_count_max)
        config->user_count_max = 20000;
    if (!config->call_count_max)
        config->call_count_max = 20000;
}

static void set_costs(struct call_directory *directory)
{
    directory->attempts.cost_us = 2 * directory->config.ring_timeout_us;
}

static void init_keyed(struct map *map, struct random *random)
{
    uint64_t secret[2] = { random_u64(random), random_u64(random) };
    map_init(map, secret);
}

void call_directory_init(struct call_directory *directory,
                         const struct call_directory_config *config)
{
    *directory = (struct call_directory){ .config = *config };
    set_defaults(&directory->config);
    init_keyed(&directory->users, config->random);
    init_keyed(&directory->links, config->random);
    init_keyed(&directory->calls, config->random);
    list_init(&directory->ringing);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    presence_board_init(&directory->presence, secret);
    call_attempts_init(&directory->attempts, secret);
    set_costs(directory);
    list_init(&directory->gathering);
}

void call_directory_reload(struct call_directory *directory,
                           const struct call_directory_config *config)
{
    struct random *random = directory->config.random;
    directory->config = *config;
    directory->config.random = random;
    set_defaults(&directory->config);
    set_costs(directory);
}

void call_directory_done(struct call_directory *directory)
{
    // devices belong to bindings, which took them out before
    ensure(directory->users.count == 0 && directory->links.count == 0 &&
           directory->calls.count == 0);
    map_done(&directory->users);
    map_done(&directory->links);
    map_done(&directory->calls);
    call_attempts_done(&directory->attempts);
    presence_board_done(&directory->presence);
    contact_index_done(&directory->shown);
}

static struct call *first_ringing(const struct call_directory *directory)
{
    if (list_empty(&directory->ringing))
        return NULL;
    return container_of(directory->ringing.next, struct call, ringing_node);
}

void call_directory_tick(struct call_directory *directory, uint64_t now_us)
{
    struct call *call;
    while ((call = first_ringing(directory)) && call->deadline_us <= now_us) {
        metric_add(&directory->metrics[CALL_METRIC_TIMED_OUT], 1);
        call_end(directory, call, now_us, CALL_ENDED_TIMEOUT, NULL);
    }
    call_describe_tick(directory, now_us);
    presence_tick(directory, now_us);
}

uint64_t call_directory_deadline(const struct call_directory *directory)
{
    const struct call *call = first_ringing(directory);
    uint64_t deadline_us = call ? call->deadline_us : TIME_NEVER;
    deadline_us = time_earlier(deadline_us, call_describe_deadline(directory));
    return time_earlier(deadline_us, presence_deadline(directory));
}

struct metric_set call_directory_metrics(const struct call_directory *directory)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = directory->metrics,
                                .count = CALL_METRIC_COUNT,
                                .labels = "" };
}

void call_directory_record(const struct call_directory *directory, struct call_record *record,
                           uint64_t now_us, enum call_ended_reason reason)
{
    record->ended_us = now_us;
    record->reason = reason;
    if (directory->config.ended)
        directory->config.ended(directory->config.owner, record);
}
