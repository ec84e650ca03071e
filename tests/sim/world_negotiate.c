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

/** What the server says of itself. */
struct server_side {
    char ufrag[9], pwd[25], fingerprint[120], line[ICE_CANDIDATE_TEXT_MAX];
    struct bytes candidate;
    struct rtc_negotiation_local local;
};

static void server_side_init(struct server_side *side, struct world_client *client)
{
    struct world *world = client->world;
    struct world_worker *worker = &world->workers[client->worker];
    random_text(&worker->random, side->ufrag, 8);
    random_text(&worker->random, side->pwd, 24);
    snprintf(side->fingerprint, sizeof(side->fingerprint), "sha-256 %s",
             certificate_fingerprint(world->server_certificate));
    struct ice_candidate candidate = ice_candidate_host(&world->server_address, 65535);
    struct text_builder builder = text_builder_of(side->line, sizeof(side->line));
    ice_candidate_write(&candidate, &builder);
    side->candidate = bytes_of_text(side->line);
    side->local = (struct rtc_negotiation_local){
        .ice_ufrag = bytes_of_text(side->ufrag),
        .ice_pwd = bytes_of_text(side->pwd),
        .candidates = &side->candidate,
        .candidate_count = 1,
        .fingerprint = bytes_of_text(side->fingerprint),
        .cname = bytes_of_text("roost"),
        .playout_delay = client->playout_delay,
        .two_way = client->two_way,
    };
}

static void check(int error, const char *problem)
{
    if (error)
        print_error("%s\n", problem);
    assert_int_equal(error, 0);
}

/** The server's answer to the client's offer; heap. */
static char *answer(struct world_client *client, const char *offer)
{
    struct server_side side;
    server_side_init(&side, client);
    char *text = NULL;
    const char *problem = NULL;
    check(rtc_negotiation_answer(client->negotiation, &side.local,
                                 &client->world->workers[client->worker].random,
                                 bytes_of_text(offer), &text, &problem),
          problem);
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

/** The client's own description; heap. */
static char *describe(struct world_client *client)
{
    struct world *world = client->world;
    if (!client->offer.ufrag)
        new_credentials(client);
    client->offer.remb_only = world->remb_only;
    char fingerprint[120];
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(world->client_certificate));
    client->offer.fingerprint = fingerprint;
    char *text = rtc_client_offer_write(&client->offer);
    client->offer.fingerprint = NULL;
    return text;
}

/** Both sides have heard each other: `said` is the server's description. */
static void apply(struct world_client *client, const char *said)
{
    struct world *world = client->world;
    struct rtc_params *params = NULL;
    const char *problem = NULL;
    check(rtc_client_answer_read(&client->offer, bytes_of_text(said), &params, &problem), problem);
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

void world_negotiate(struct world_client *client)
{
    client->offer.answers = false;
    char *offer cleanup(memory_free_at) = describe(client);
    char *said cleanup(memory_free_at) = answer(client, offer);
    apply(client, said);
}

void world_negotiate_callee(struct world_client *callee, const struct world_client *caller)
{
    const struct rtc_negotiated *like = rtc_negotiation_result(caller->negotiation);
    const struct rtc_negotiated *before = rtc_negotiation_result(callee->negotiation);
    struct rtc_offer_section sections[WORLD_SECTIONS] = { 0 };
    for (size_t i = 0; i < like->section_count; i++) {
        sections[i].role = RTC_ROLE_BOTH;
        if (before && i < before->section_count)
            continue;
        sections[i].like = &like->sections[i];
        sections[i].extensions = &like->extensions;
    }
    struct random *random = &callee->world->workers[callee->worker].random;
    struct server_side side;
    server_side_init(&side, callee);
    char *offer cleanup(memory_free_at) = rtc_negotiation_offer(
        callee->negotiation, &side.local, random, sections, like->section_count);
    callee->offer.answers = true;
    char *said cleanup(memory_free_at) = describe(callee);
    const char *problem = NULL;
    check(rtc_negotiation_accept(callee->negotiation, &side.local, random, bytes_of_text(said),
                                 &problem),
          problem);
    apply(callee, offer);
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
