/**
 * The operator's endpoint that decides who may come in (auth.mode = webhook): each join is POSTed
 * to it, signed as webhooks are, and its answer is what a token would grant. Without an answer
 * nobody comes in. docs/tokens.md describes both.
 */
#pragma once

#include "admin/options.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "runtime/http_client.h"
#include "signal/access/admission.h"

struct admission_hook;

struct admission_hook_config {
    struct loop *loop;
    struct random *random;
    const struct log *log;
    struct http_client *client;
    const struct roost_options *options; /**< may be reloaded */
    /** The answer for a session. */
    void (*decided)(void *owner, const char *session, const struct admission_answer *answer);
    void *owner;
};

/** Never NULL. */
struct admission_hook *admission_hook_new(const struct admission_hook_config *config);
/** After the client has stopped. Accepts NULL; returns NULL. */
struct admission_hook *admission_hook_free(struct admission_hook *hook);
/** For native_config. */
struct admission *admission_hook_admission(struct admission_hook *hook);
struct metric_set admission_hook_metrics(const struct admission_hook *hook);
/**
 * Reads the body of an answer with status 200: {"allow": false, "message": TEXT}, or {"allow":
 * true} with the claims of a token. Whatever is anything else is -EAGAIN: nobody comes in by it.
 */
void admission_answer_read(struct bytes body, const char *room, uint64_t now_unix_s,
                           struct admission_answer *ret_answer);
