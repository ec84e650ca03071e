#include "sim/world_int.h"

#include <stdio.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/ice/ice_candidate.h"
#include "rtc/peer_int.h"
#include "support/check.h"

static void new_credentials(struct world_client *client)
{
    random_text(&client->random, client->ufrag, 8);
    random_text(&client->random, client->pwd, 24);
    client->offer.ufrag = client->ufrag;
    client->offer.pwd = client->pwd;
}

/** The server's answer to the client's offer; heap. */
static char *answer(struct world_client *client, const char *offer)
{
    struct world *world = client->world;
    struct world_worker *worker = &world->workers[client->worker];
    char ufrag[9], pwd[25], fingerprint[120], line[ICE_CANDIDATE_TEXT_MAX];
    random_text(&worker->random, ufrag, 8);
    random_text(&worker->random, pwd, 24);
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(world->server_certificate));
    struct ice_candidate candidate = ice_candidate_host(&world->server_address, 65535);
    struct text_builder builder = text_builder_of(line, sizeof(line));
    ice_candidate_write(&candidate, &builder);
    struct bytes candidates[] = { bytes_of_text(line) };
    struct rtc_negotiation_local local = {
        .ice_ufrag = bytes_of_text(ufrag),
        .ice_pwd = bytes_of_text(pwd),
        .candidates = candidates,
        .candidate_count = 1,
        .fingerprint = bytes_of_text(fingerprint),
        .cname = bytes_of_text("roost"),
        .playout_delay = client->playout_delay,
    };
    char *text = NULL;
    const char *problem = NULL;
    int error = rtc_negotiation_answer(client->negotiation, &local, &worker->random,
                                       bytes_of_text(offer), &text, &problem);
    if (error)
        print_error("%s\n", problem);
    assert_int_equal(error, 0);
    return text;
}

static void start_peers(struct world_client *client, struct rtc_params *params)
{
    struct world *world = client->world;
    uint64_t now_us = network_now(world->net);
    struct world_worker *worker = &world->workers[client->worker];
    assert_int_equal(
        rtc_peer_new(&worker->thread, false, client->server_params, now_us, &client->server_peer),
        0);
    exchange_peer_add(worker->exchange, client->session, client->server_peer);
    assert_int_equal(rtc_peer_new(&client->thread, true, params, now_us, &client->peer), 0);
    assert_int_equal(rtc_peer_add_local(client->peer, &client->address), 0);
    const struct rtc_negotiated *negotiated = rtc_params_get(params);
    for (size_t i = 0; i < negotiated->candidate_count; i++) {
        struct ice_candidate candidate;
        assert_int_equal(ice_candidate_parse(negotiated->candidates[i], &candidate), 0);
        assert_int_equal(rtc_peer_add_remote(client->peer, now_us, &candidate), 0);
    }
    client->endpoint = network_add(world->net, &world_client_ops, client);
    network_bind(client->endpoint, &client->address);
}

void world_negotiate(struct world_client *client)
{
    struct world *world = client->world;
    if (!client->offer.ufrag)
        new_credentials(client);
    client->offer.remb_only = world->remb_only;
    char fingerprint[120];
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(world->client_certificate));
    client->offer.fingerprint = fingerprint;
    char *offer cleanup(memory_free_at) = rtc_client_offer_write(&client->offer);
    char *text cleanup(memory_free_at) = answer(client, offer);
    struct rtc_params *params = NULL;
    const char *problem = NULL;
    int error = rtc_client_answer_read(&client->offer, bytes_of_text(text), &params, &problem);
    if (error)
        print_error("%s\n%s\n", problem, text);
    assert_int_equal(error, 0);
    rtc_params_unref(client->server_params);
    client->server_params = rtc_params_new(rtc_negotiation_result(client->negotiation));
    uint64_t now_us = network_now(world->net);
    if (!client->peer) {
        start_peers(client, params);
    } else {
        rtc_peer_update(client->server_peer, client->server_params, now_us);
        exchange_peer_update(world->workers[client->worker].exchange, client->session);
        rtc_peer_update(client->peer, params, now_us);
        const struct rtc_negotiated *negotiated = rtc_params_get(params);
        for (size_t i = 0; i < negotiated->candidate_count; i++) {
            struct ice_candidate candidate;
            assert_int_equal(ice_candidate_parse(negotiated->candidates[i], &candidate), 0);
            (void)!rtc_peer_add_remote(client->peer, now_us, &candidate);
        }
    }
    rtc_params_unref(params);
}

void world_rest(struct world_client *client, uint16_t section, bool inactive)
{
    client->sections[section].inactive = inactive;
    world_negotiate(client);
}

void world_restart_ice(struct world_client *client)
{
    client->offer.generation++;
    new_credentials(client);
    world_negotiate(client);
}
