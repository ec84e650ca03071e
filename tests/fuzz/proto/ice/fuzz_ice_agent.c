// The full agent under a script of raw and signed messages, time and restarts.
#include "proto/ice/ice_agent.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_operation(struct script *script, struct ice_agent *agent)
{
    struct net_path path;
    struct bytes message;
    uint8_t which;
    switch (reader_u8(&script->reader) % SCRIPT_OPERATIONS) {
    case SCRIPT_RAW:
        path = script_path(script);
        (void)ice_agent_input(agent, script->now_us, &path, script_bytes(script));
        break;
    case SCRIPT_REQUEST:
        path = script_path(script);
        message = script_request(script);
        (void)ice_agent_input(agent, script->now_us, &path, message);
        break;
    case SCRIPT_ANSWER:
        path = script_path(script);
        message = script_answer(script);
        (void)ice_agent_input(agent, script->now_us, &path, message);
        break;
    case SCRIPT_WAIT:
        script->now_us += reader_u16(&script->reader) * 10000ull;
        ice_agent_tick(agent, script->now_us);
        break;
    case SCRIPT_OUTPUT:
        ice_agent_tick(agent, script->now_us);
        for (int i = 0; ice_agent_deadline(agent) <= script->now_us; i++) {
            ensure(i < 10); // an agent that never comes to rest would spin its loop
            ice_agent_tick(agent, script->now_us);
            ice_agent_output(agent, script->now_us, &script->batch);
            script_read_batch(script);
        }
        break;
    default:
        which = reader_u8(&script->reader);
        struct ice_credentials local =
            script_credentials(script_local[which & 1], SCRIPT_LOCAL_PWD);
        struct ice_credentials remote =
            script_credentials(script_remote[which >> 1 & 1], SCRIPT_REMOTE_PWD);
        if (which & 4)
            ensure(ice_agent_restart(agent, &local) == 0);
        if (which & 8)
            ensure(ice_agent_set_remote(agent, script->now_us, &remote, which & 16) == 0);
        if (which & 32)
            ice_agent_end_of_candidates(agent);
        if (which & 64) {
            path = script_path(script);
            struct ice_candidate candidate = ice_candidate_host(&path.remote, which);
            (void)!ice_agent_add_remote(agent, script->now_us, &candidate);
        }
        break;
    }
    struct ice_event event;
    int events = 0;
    while (ice_agent_event(agent, &event))
        ensure(++events <= 5);
    if (ice_agent_path(agent, &path))
        ensure(ice_agent_knows(agent, &path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script;
    script_start(&script, data, size);
    struct ice_agent *agent;
    const struct ice_agent_config config = {
        .local = script_credentials(script_local[0], SCRIPT_LOCAL_PWD),
        .controlling = size > 0 && data[0] & 128,
        .random = &script.random,
        .metrics = &script.metrics,
    };
    ensure(ice_agent_new(&config, &agent) == 0);
    for (uint8_t i = 0; i < 2; i++) {
        struct net_address local = net_address_ipv4(198, 51, 100, i, 3478);
        ensure(ice_agent_add_local(agent, &local) == 0);
    }
    while (reader_left(&script.reader) > 0)
        run_operation(&script, agent);
    ice_agent_free(agent);
    script_end(&script);
    return 0;
}
