// Who may publish and watch: tokens and their grants, or the word of the operator's endpoint; and
// requests that wait for that word, or for the keys of an identity provider.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signal/whip/whip_int.h"

#define LATER_RETRY_S "5"

/** A request whose answer is somebody else's to decide. */
struct whip_waiting {
    char id[WHIP_WAITING_ID_SIZE];
    handle exchange;
    bool viewer;
    bool for_keys; /**< else for an answer of the operator's endpoint */
};

bool whip_take_rate(struct whip_endpoint *endpoint, struct http_exchange *exchange)
{
    const struct net_address *remote = http_exchange_remote(exchange);
    if (net_address_is_loopback(remote))
        return true;
    uint32_t rate = endpoint->config.rate_per_address;
    if (address_rate_take(&endpoint->rate, remote, loop_now_us(endpoint->config.loop), rate,
                          rate * WHIP_RATE_BURST))
        return true;
    whip_count(endpoint, WHIP_METRIC_REFUSED_RATE);
    http_exchange_add_field(exchange, "Retry-After", "1");
    http_exchange_fail(exchange, 429, "Too many requests of your address.");
    return false;
}

/** ---- waiting ---- */

/** The request waits under its own name, which is returned. */
static struct whip_waiting *wait(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                                 bool viewer, bool for_keys)
{
    struct whip_waiting *waiting = memory_new(struct whip_waiting);
    *waiting = (struct whip_waiting){ .exchange = http_exchange_handle(exchange),
                                      .viewer = viewer,
                                      .for_keys = for_keys };
    // not the id that the session will have: that one is a secret of the client's
    random_identifier(endpoint->config.random, waiting->id, sizeof(waiting->id) - 1);
    map_set(&endpoint->waiting, bytes_of_text(waiting->id), waiting);
    return waiting;
}

/** The waiting request's turn, if its client is still there. Frees `waiting`. */
static void go_on(struct whip_endpoint *endpoint, struct whip_waiting *waiting,
                  const struct admission_answer *answer)
{
    map_remove(&endpoint->waiting, bytes_of_text(waiting->id));
    struct http_exchange *exchange =
        http_server_find_exchange(endpoint->config.server, waiting->exchange);
    if (exchange)
        whip_create(exchange, endpoint, waiting->viewer, &(struct whip_decision){ answer });
    free(waiting);
}

void whip_endpoint_admitted(struct whip_endpoint *endpoint, const char *id,
                            const struct admission_answer *answer)
{
    struct whip_waiting *waiting = map_find(&endpoint->waiting, bytes_of_text(id));
    if (waiting && !waiting->for_keys)
        go_on(endpoint, waiting, answer);
}

void whip_endpoint_keys_fetched(struct whip_endpoint *endpoint)
{
    size_t cursor = 0, count = 0;
    void *item;
    struct whip_waiting **all =
        memory_new_array(struct whip_waiting *, endpoint->waiting.count + 1);
    while (map_next(&endpoint->waiting, &cursor, NULL, &item)) {
        struct whip_waiting *waiting = item;
        if (waiting->for_keys)
            all[count++] = waiting;
    }
    for (size_t i = 0; i < count; i++)
        go_on(endpoint, all[i], NULL);
    free(all);
}

void whip_waiting_done(struct whip_endpoint *endpoint)
{
    size_t cursor = 0;
    void *waiting;
    while (map_next(&endpoint->waiting, &cursor, NULL, &waiting))
        free(waiting);
    map_done(&endpoint->waiting);
}

/** ---- deciding ---- */

static bool refuse_token(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                         const char *sentence)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_TOKEN);
    http_exchange_add_field(exchange, "WWW-Authenticate", "Bearer");
    http_exchange_fail(exchange, 401, sentence);
    return false;
}

static bool refuse_grant(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                         const char *sentence)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_GRANT);
    http_exchange_fail(exchange, 403, sentence);
    return false;
}

static bool refuse_undecided(struct whip_endpoint *endpoint, struct http_exchange *exchange)
{
    whip_count(endpoint, WHIP_METRIC_REFUSED_UNDECIDED);
    http_exchange_add_field(exchange, "Retry-After", LATER_RETRY_S);
    http_exchange_fail(exchange, 503,
                       "It cannot be decided at the moment who may come in. Try again later.");
    return false;
}

/** Asks the operator's endpoint. The request waits, or is refused. */
static void ask(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                const struct whip_request *request)
{
    char token[TOKEN_SIZE_MAX + 1];
    struct bytes bearer = http_exchange_bearer(exchange);
    if (bearer.data && text_copy(token, sizeof(token), bearer) < 0) {
        (void)refuse_token(endpoint, exchange, "The token is not valid.");
        return;
    }
    struct whip_waiting *waiting = wait(endpoint, exchange, request->viewer, false);
    struct admission *admission = endpoint->config.admission;
    const struct admission_question question = {
        .purpose = request->viewer ? ADMISSION_WATCH : ADMISSION_PUBLISH,
        .room = request->room,
        .name = request->name[0] ? request->name : NULL,
        .token = bearer.data ? token : NULL,
        .session = waiting->id,
        .remote = *http_exchange_remote(exchange),
    };
    int result = admission->ask(admission, &question);
    memory_wipe(token, sizeof(token));
    if (result == 0)
        return;
    map_remove(&endpoint->waiting, bytes_of_text(waiting->id));
    free(waiting);
    (void)refuse_undecided(endpoint, exchange);
}

static bool take_answer(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                        const struct admission_answer *answer, struct whip_request *request)
{
    if (answer->result == -EACCES)
        return refuse_grant(endpoint, exchange,
                            answer->message[0] ? answer->message : "You may not come in here.");
    if (answer->result < 0)
        return refuse_undecided(endpoint, exchange);
    request->has_grants = true;
    request->grants = answer->grants;
    return true;
}

static bool take_token(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                       bool second_look, struct whip_request *request)
{
    const struct whip_config *config = &endpoint->config;
    struct bytes token = http_exchange_bearer(exchange);
    if (!token.data) {
        if (!config->require_token)
            return true;
        return refuse_token(endpoint, exchange, "A token is needed: Authorization: Bearer TOKEN.");
    }
    int result = token_verifier_check(config->tokens, token, clock_unix_us() / TIME_US_PER_S,
                                      &request->grants);
    if (result == -ENOKEY && !second_look && config->keys_pending &&
        config->keys_pending(config->owner)) {
        (void)wait(endpoint, exchange, request->viewer, true);
        return false;
    }
    // OBS and others send what was typed as the stream key: where nobody needs a token, it is none
    if (result == -EBADMSG && !config->require_token)
        return true;
    if (result < 0)
        return refuse_token(endpoint, exchange, token_problem(result));
    request->has_grants = true;
    return true;
}

static const char *grant_problem(const struct whip_request *request)
{
    const struct token_grants *grants = &request->grants;
    if (!request->has_grants)
        return NULL;
    if (!token_admits(grants, request->room))
        return "The token is for another room.";
    if (grants->join_denied)
        return "The token does not let you join rooms.";
    if (request->viewer && grants->denials.subscribe)
        return "The token does not let you watch.";
    if (!request->viewer && !token_may_publish(grants, ROOM_SOURCE_CAMERA) &&
        !token_may_publish(grants, ROOM_SOURCE_MICROPHONE))
        return "The token does not let you publish.";
    return NULL;
}

bool whip_admit(struct whip_endpoint *endpoint, struct http_exchange *exchange,
                const struct whip_decision *decision, struct whip_request *request)
{
    if (decision && decision->answer) {
        if (!take_answer(endpoint, exchange, decision->answer, request))
            return false;
    } else if (endpoint->config.admission) {
        ask(endpoint, exchange, request);
        return false;
    } else if (!take_token(endpoint, exchange, decision != NULL, request)) {
        return false;
    }
    const char *problem = grant_problem(request);
    return !problem || refuse_grant(endpoint, exchange, problem);
}
