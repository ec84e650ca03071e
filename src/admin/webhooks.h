/**
 * Webhooks: what happens in rooms, POSTed to the operator's servers as signed JSON (Standard
 * Webhooks; docs/webhooks.md). Events of one room arrive in their order: each is sent when the one
 * before was taken or given up. What cannot be delivered is tried again, ever more rarely, and
 * waits in a file of the data folder: a restart, or a crash, loses none.
 */
#pragma once

#include "admin/options.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "room/watch.h"
#include "runtime/http_client.h"

#define WEBHOOK_URLS_MAX 4

#define DATA_FILE_WEBHOOKS "webhooks.db"

struct webhooks;

struct webhooks_config {
    struct loop *loop;
    struct random *random;
    const struct log *log;
    struct http_client *client;
    const struct roost_options *options; /**< may be reloaded */
    const char *path;                    /**< where events wait; copied */
};

/**
 * Takes up what an earlier process left, blocking: before the loop runs. Returns 0 or a negative
 * errno with a sentence for the user.
 */
must_check int webhooks_open(const struct webhooks_config *config, struct webhooks **ret_webhooks,
                             struct text_builder *ret_problem);
/** After the client has stopped; what was not delivered stays. Accepts NULL; returns NULL. */
struct webhooks *webhooks_close(struct webhooks *webhooks);
/** Put it into room_directory_config. */
struct room_watcher *webhooks_watcher(struct webhooks *webhooks);
struct metric_set webhooks_metrics(const struct webhooks *webhooks);
/** The signature of a body: "v1," and base64; `out` holds 64 bytes. For admission as well. */
void webhook_sign(const char *secret, const char *id, uint64_t unix_s, struct bytes body,
                  char out[64]);
/** Signs the body of a call and adds the three fields that go with it. */
void webhook_sign_call(struct http_call *call, const char *secret, const char *id, uint64_t unix_s);
