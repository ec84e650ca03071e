// The control API: past calls of a user, as the history has them.
#include <errno.h>
#include <stdio.h>

#include "admin/control_api_int.h"
#include "base/text.h"
#include "signal/messaging/messaging.h"

#define PAGE_DEFAULT 50

static const char *const results[] = {
    [PAST_CALL_ANSWERED] = "answered",
    [PAST_CALL_MISSED] = "missed",
    [PAST_CALL_CANCELLED] = "cancelled",
    [PAST_CALL_REJECTED] = "rejected",
    [PAST_CALL_BUSY] = "busy",
    [PAST_CALL_LOST] = "lost",
    [PAST_CALL_UNAVAILABLE] = "unavailable",
};

static json_t *call_json(const struct history_entry *entry)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:s?}", "id", entry->id, "with", entry->peer,
                     "direction", entry->outgoing ? "out" : "in", "media",
                     entry->media == CALL_MEDIA_VIDEO ? "video" : "audio", "result",
                     entry->result < array_size(results) ? results[entry->result] : "lost",
                     "missed", (int)entry->missed, "began_ms", (json_int_t)entry->unix_ms,
                     "seconds", (json_int_t)entry->seconds, "binding",
                     entry->binding[0] ? entry->binding : NULL);
}

static void answered(const struct history_return *back, const struct history_answer *answer)
{
    const struct control_api *api = back->owner;
    struct http_server *http = api->config.http;
    struct http_exchange *exchange = http ? http_server_find_exchange(http, back->number) : NULL;
    if (!exchange)
        return;
    if (answer->error < 0) {
        http_exchange_fail(exchange, 500, "The history could not be read; the log says why.");
        return;
    }
    json_t *calls = json_array();
    for (size_t i = answer->count; i-- > 0;)
        json_array_append_new(calls, call_json(&answer->entries[i]));
    const char *next = answer->more ? answer->entries[0].id : NULL;
    control_respond(exchange, 200, json_pack("{s:o,s:s?}", "calls", calls, "next", next));
}

/** 0 or, with 400 answered, a negative errno. */
static int read_page(struct http_exchange *exchange, char before[MESSAGE_ID_SIZE],
                     uint64_t *ret_limit)
{
    char limit[16] = "";
    int before_result = http_exchange_query(exchange, "before", before, MESSAGE_ID_SIZE);
    int limit_result = http_exchange_query(exchange, "limit", limit, sizeof(limit));
    bool good = (before_result >= 0 || before_result == -ENOENT) &&
                (limit_result == -ENOENT ||
                 (limit_result >= 0 &&
                  text_parse_u64(bytes_of_text(limit), HISTORY_PAGE_MAX, ret_limit) == 0 &&
                  *ret_limit > 0));
    if (good)
        return 0;
    http_exchange_fail(exchange, 400, "before is a call's id, limit a number up to 100.");
    return -EINVAL;
}

void control_user_calls(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    char before[MESSAGE_ID_SIZE] = "";
    uint64_t limit = PAGE_DEFAULT;
    if (!control_admit(api, exchange) || read_page(exchange, before, &limit) < 0)
        return;
    struct history_return back = { .done = answered,
                                   .owner = api,
                                   .number = http_exchange_handle(exchange) };
    if (!api->config.history)
        answered(&back, &(struct history_answer){ 0 });
    else if (history_read(api->config.history, http_exchange_parameter(exchange, "user"),
                          HISTORY_CALL, NULL, before[0] ? before : NULL, (uint32_t)limit,
                          &back) < 0)
        http_exchange_fail(exchange, 503, "The history has too much to do.");
}
