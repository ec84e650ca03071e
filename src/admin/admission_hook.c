#include "admin/admission_hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/webhooks.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signal/access/token_claims.h"

#define ID_LENGTH    20
#define SESSION_SIZE 32
#define ANSWER_MAX   (16u << 10)

enum admission_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/admission_hook.def"
#undef METRIC
    ADMISSION_METRIC_COUNT,
};

static const struct metric_description descriptions[ADMISSION_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/admission_hook.def"
#undef METRIC
};

struct admission_hook {
    struct admission_hook_config config;
    struct admission admission;
    metric_value metrics[ADMISSION_METRIC_COUNT];
};

/** Who waits for an answer. */
struct waiting {
    struct admission_hook *hook;
    char session[SESSION_SIZE];
    char room[TOKEN_NAME_SIZE];
};

/** ---- the answer ---- */

static void take_message(json_t *json, struct admission_answer *answer)
{
    json_t *message = json_object_get(json, "message");
    struct bytes text = bytes_of(json_string_value(message), json_string_length(message));
    // what does not fit is left out whole: half a letter is no text
    if (text.size > 0 && text_copy(answer->message, sizeof(answer->message), text) < 0)
        answer->message[0] = '\0';
}

static void read_object(json_t *json, const char *room, uint64_t now_unix_s,
                        struct admission_answer *answer)
{
    json_t *allow = json_object_get(json, "allow");
    if (json_is_false(allow)) {
        answer->result = -EACCES;
        take_message(json, answer);
        return;
    }
    struct token_grants grants;
    if (!json_is_true(allow) || token_claims_read(json, now_unix_s, 0, &grants) < 0)
        return;
    grants.admin = false; // a door is no office
    if (!grants.room[0])
        snprintf(grants.room, sizeof(grants.room), "%s", room);
    answer->result = 0;
    answer->grants = grants;
}

void admission_answer_read(struct bytes body, const char *room, uint64_t now_unix_s,
                           struct admission_answer *ret_answer)
{
    *ret_answer = (struct admission_answer){ .result = -EAGAIN };
    json_t *json =
        body.size > 0 ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL)
                      : NULL;
    if (json_is_object(json))
        read_object(json, room, now_unix_s, ret_answer);
    json_decref(json);
}

static void decided(struct http_call *call, void *owner)
{
    struct waiting *waiting = owner;
    struct admission_hook *hook = waiting->hook;
    struct admission_answer answer = { .result = -EAGAIN };
    if (call->error == 0 && call->status == 200)
        admission_answer_read(bytes_of(call->answer, call->answer_size), waiting->room,
                              clock_unix_us() / TIME_US_PER_S, &answer);
    bool failed = answer.result == -EAGAIN;
    metric_add(&hook->metrics[answer.result == 0 ? ADMISSION_ALLOWED
                              : failed           ? ADMISSION_FAILED
                                                 : ADMISSION_REFUSED],
               1);
    if (failed && call->error != -ECANCELED)
        log_warning(hook->config.log, "auth.webhook_url gave no answer that can be used",
                    log_text("problem", *call->problem ? call->problem : "not as documented"));
    if (call->error != -ECANCELED)
        hook->config.decided(hook->config.owner, waiting->session, &answer);
    free(waiting);
}

/** ---- the question ---- */

static char *write_question(const struct admission_question *question)
{
    static const char *const purposes[] = {
        [ADMISSION_JOIN] = "join",   [ADMISSION_REGISTER] = "register",
        [ADMISSION_LINK] = "link",   [ADMISSION_PUBLISH] = "publish",
        [ADMISSION_WATCH] = "watch",
    };
    char address[NET_ADDRESS_TEXT_MAX];
    net_address_format_ip(&question->remote, address);
    json_t *json =
        json_pack("{s:s,s:s*,s:s*,s:s*,s:s*,s:s,s:s}", "type", purposes[question->purpose], "room",
                  question->room, "user", question->user, "name", question->name, "token",
                  question->token, "session", question->session, "address", address);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    ensure(text);
    return text;
}

static int ask(struct admission *admission, const struct admission_question *question)
{
    struct admission_hook *hook = container_of(admission, struct admission_hook, admission);
    const struct roost_options *options = hook->config.options;
    struct waiting *waiting = memory_new(struct waiting);
    waiting->hook = hook;
    snprintf(waiting->session, sizeof(waiting->session), "%s", question->session);
    snprintf(waiting->room, sizeof(waiting->room), "%s", question->room ? question->room : "");
    struct http_call *call = http_call_new(options->auth.webhook_url);
    char *body = write_question(question);
    http_call_set_body(call, bytes_of_text(body), "application/json");
    memory_wipe(body, strlen(body)); // with the token
    free(body);
    char id[ID_LENGTH + 5] = "adm_";
    random_identifier(hook->config.random, id + 4, ID_LENGTH);
    webhook_sign_call(call, options->auth.webhook_secret, id, clock_unix_us() / TIME_US_PER_S);
    call->timeout_ms = (uint32_t)(options->auth.webhook_timeout_us / TIME_US_PER_MS);
    call->answer_size_max = ANSWER_MAX;
    call->done = decided;
    call->owner = waiting;
    int result = http_call_start(hook->config.client, call);
    if (result < 0) {
        metric_add(&hook->metrics[ADMISSION_FAILED], 1);
        free(waiting);
    }
    return result;
}

struct admission_hook *admission_hook_new(const struct admission_hook_config *config)
{
    struct admission_hook *hook = memory_new(struct admission_hook);
    hook->config = *config;
    hook->admission.ask = ask;
    return hook;
}

struct admission_hook *admission_hook_free(struct admission_hook *hook)
{
    free(hook);
    return NULL;
}

struct admission *admission_hook_admission(struct admission_hook *hook)
{
    return &hook->admission;
}

struct metric_set admission_hook_metrics(const struct admission_hook *hook)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = hook->metrics,
                                .count = ADMISSION_METRIC_COUNT,
                                .labels = "" };
}
