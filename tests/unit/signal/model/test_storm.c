// Many devices that do everything at any time: the model stays whole, and nothing is left behind.
#include "model_harness.h"

#define DEVICES 24
#define USERS   8
#define ROUNDS  200000

/** A device that remembers the calls it heard of, and whether it hears only of calls that it is in.
 */
struct stormy {
    struct call_device device;
    char calls[64][CALL_ID_SIZE];
    size_t call_count;
    char told_to_call[CALL_NAME_SIZE];
    char told_in[CALL_ID_SIZE];
    size_t heard;
};

static struct stormy storm[DEVICES];

static char *slot_of(struct stormy *one, const char *id)
{
    for (size_t i = 0; i < one->call_count; i++) {
        if (strcmp(one->calls[i], id) == 0)
            return one->calls[i];
    }
    return NULL;
}

static void remember(struct stormy *one, const char *id)
{
    assert_true(one->call_count < 64);
    memcpy(one->calls[one->call_count++], id, CALL_ID_SIZE);
}

static void forget(struct stormy *one, const char *id)
{
    char *slot = slot_of(one, id);
    assert_non_null(slot);
    memmove(slot, one->calls[--one->call_count], CALL_ID_SIZE);
}

static void storm_notified(struct call_device *device, const struct call_event *event)
{
    struct stormy *one = container_of(device, struct stormy, device);
    one->heard++;
    if (event->kind == CALL_EVENT_INCOMING) {
        assert_null(slot_of(one, event->call));
        remember(one, event->call);
    } else if (event->kind == CALL_EVENT_ENDED) {
        forget(one, event->call);
    } else if (event->kind == CALL_EVENT_LINK_READY || event->kind == CALL_EVENT_UNREGISTERED ||
               event->kind == CALL_EVENT_RELAY) {
        assert_null(event->call);
    } else if (!device->trickles && event->kind == CALL_EVENT_CANDIDATE) {
        fail_msg("a device without trickle was told a candidate");
    }
    if (event->kind == CALL_EVENT_TRANSFER) {
        snprintf(one->told_to_call, sizeof(one->told_to_call), "%s", event->to);
        snprintf(one->told_in, sizeof(one->told_in), "%s", event->call);
    }
}

static const struct call_device_ops storm_ops = { .notify = storm_notified };

static const char *any_user(void)
{
    static char name[16];
    snprintf(name, sizeof(name), "user%u", random_below(&model.random, USERS));
    return name;
}

static const char *any_call(const struct stormy *one)
{
    return one->call_count ? one->calls[random_below(&model.random, (uint32_t)one->call_count)]
                           : "none";
}

static void revive(struct stormy *one, size_t index)
{
    memset(one, 0, sizeof(*one));
    call_device_init(&one->device, &storm_ops, (enum call_binding)(index % CALL_BINDING_COUNT));
    one->device.trickles = index % 3 != 0;
    one->device.transfers = index % 4 != 3;
    char user[16];
    snprintf(user, sizeof(user), "user%zu", index % USERS);
    assert_int_equal(call_device_register(&model.calls, &one->device, user, NULL, true), 0);
}

/** A call of its own; one in place of another when it was told to. */
static void place(struct stormy *one)
{
    struct call_request request = { .to = any_user(), .sdp = "v=0\r\nm=audio 9 RTP/AVP 0\r\n" };
    if (one->told_to_call[0]) {
        request.to = one->told_to_call;
        request.transfer = one->told_in;
    }
    char id[CALL_ID_SIZE];
    if (call_start(&model.calls, &one->device, model.now_us, &request, id) == 0)
        remember(one, id);
    one->told_to_call[0] = 0;
}

/** The device left the call by itself, so it is not told. */
static void left(struct stormy *one, const char *id, int result)
{
    if (result == 0)
        forget(one, id);
}

static void act(struct stormy *one, size_t index)
{
    struct call_directory *calls = &model.calls;
    struct call_device *device = &one->device;
    const struct call_candidate candidate = { .candidate = "candidate:1", .sdp_m_line_index = 0 };
    char id[CALL_ID_SIZE];
    snprintf(id, sizeof(id), "%s", any_call(one));
    switch (random_below(&model.random, 16)) {
    case 0:
    case 1:
    case 2:
        place(one);
        break;
    case 3:
    case 4:
        (void)!call_accept(calls, device, model.now_us, id, "v=0\r\nm=audio 9 RTP/AVP 0\r\n");
        break;
    case 5:
        left(one, id, call_reject(calls, device, model.now_us, id, one->heard % 2));
        break;
    case 6:
        left(one, id, call_hangup(calls, device, model.now_us, id));
        break;
    case 7:
        (void)!call_ringing(device, id);
        break;
    case 8:
        (void)!call_pass_candidate(device, id, one->heard % 5 ? &candidate : NULL);
        break;
    case 9:
        (void)!call_pass_offer(calls, device, model.now_us, id, "v=0\r\na=ice-ufrag:o\r\n");
        break;
    case 10:
        (void)!call_pass_answer(calls, device, model.now_us, id, "v=0\r\na=ice-ufrag:a\r\n");
        break;
    case 11:
        (void)!call_hold(device, id, one->heard % 3);
        break;
    case 12:
        (void)!call_transfer(device, id, any_user());
        break;
    case 13:
        call_device_set_away(calls, device, one->heard % 2);
        break;
    case 14:
        (void)!call_relay(calls, device, any_user(), "{}");
        break;
    default:
        if (one->heard % 8)
            break;
        call_device_done(calls, device, model.now_us, CALL_ENDED_LOST);
        revive(one, index);
    }
}

static void test_nothing_breaks_the_model(void **state)
{
    (void)state;
    model.calls.config.ended = NULL;
    for (size_t i = 0; i < DEVICES; i++)
        revive(&storm[i], i);
    for (int round = 0; round < ROUNDS; round++) {
        size_t index = random_below(&model.random, DEVICES);
        act(&storm[index], index);
        if (round % 16 == 0)
            pass(S / 2);
        // who is in a call knows of it, and nobody is in more than it may
        const struct stormy *one = &storm[index];
        assert_true(one->device.side_count >= one->call_count);
        assert_true(one->device.side_count <= one->device.call_max + CALL_HELD_MAX + 1);
    }
    assert_true(metric_get(&model.calls.metrics[CALL_METRIC_ACCEPTED]) > ROUNDS / 100);
    assert_true(metric_get(&model.calls.metrics[CALL_METRIC_GLARES]) > 0);
    for (size_t i = 0; i < DEVICES; i++)
        call_device_done(&model.calls, &storm[i].device, model.now_us, CALL_ENDED_LOST);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_CALLS]), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_USERS]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_breaks_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
