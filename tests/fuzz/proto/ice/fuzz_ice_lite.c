// The lite agent under a script of raw and signed messages, time and restarts.
#include "proto/ice/ice_lite.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_invariants(struct ice_lite *ice)
{
    struct ice_event event;
    struct net_path path;
    int events = 0;
    while (ice_lite_event(ice, &event)) {
        events++;
        ensure(event.kind != ICE_EVENT_FAILED);
    }
    ensure(events <= 4);
    ensure(ice->path_count <= ICE_LITE_PATHS && ice->answers.count <= ICE_ANSWERS_MAX);
    ensure(ice->selected < ice->path_count && ice->newest < ice->path_count);
    if (ice_lite_path(ice, &path))
        ensure(ice_lite_knows(ice, &path));
}

static void run_operation(struct script *script, struct ice_lite *ice)
{
    struct net_path path;
    struct bytes message;
    uint8_t which;
    switch (reader_u8(&script->reader) % SCRIPT_OPERATIONS) {
    case SCRIPT_RAW:
        path = script_path(script);
        message = script_bytes(script);
        (void)ice_lite_input(ice, script->now_us, &path, message);
        if (ice_request_ufrag(message, &message) == 0)
            ensure(message.size > 0);
        break;
    case SCRIPT_REQUEST:
        path = script_path(script);
        message = script_request(script);
        (void)ice_lite_input(ice, script->now_us, &path, message);
        break;
    case SCRIPT_ANSWER:
        path = script_path(script);
        message = script_answer(script);
        (void)ice_lite_input(ice, script->now_us, &path, message);
        break;
    case SCRIPT_WAIT:
        script->now_us += reader_u16(&script->reader) * 10000ull;
        ice_lite_tick(ice, script->now_us);
        break;
    case SCRIPT_OUTPUT:
        ice_lite_output(ice, script->now_us, &script->batch);
        // with all said, the next moment is in the future
        ensure(ice_lite_deadline(ice) > script->now_us ||
               ice->consent.state != ICE_CONSENT_EXPIRED);
        script_read_batch(script);
        break;
    default:
        which = reader_u8(&script->reader);
        struct ice_credentials local =
            script_credentials(script_local[which & 1], SCRIPT_LOCAL_PWD);
        struct ice_credentials remote =
            script_credentials(script_remote[which >> 1 & 1], SCRIPT_REMOTE_PWD);
        ensure(ice_lite_restart(ice, &local, &remote) == 0);
        break;
    }
    check_invariants(ice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script;
    script_start(&script, data, size);
    struct ice_lite ice;
    const struct ice_lite_config config = {
        .local = script_credentials(script_local[0], SCRIPT_LOCAL_PWD),
        .remote = script_credentials(script_remote[0], SCRIPT_REMOTE_PWD),
        .random = &script.random,
        .metrics = &script.metrics,
    };
    ensure(ice_lite_init(&ice, &config) == 0);
    while (reader_left(&script.reader) > 0)
        run_operation(&script, &ice);
    ice_lite_done(&ice);
    script_end(&script);
    return 0;
}
