/**
 * Messages of the native protocol as typed structs. wire_types.h is generated from schema/: a
 * `struct wire_request_<type>` per request, `wire_result_<type>` and `wire_event_<type>` with
 * their writers. Handlers never see JSON.
 */
#pragma once

#include "base/bytes.h"
#include "base/json_read.h"
#include "base/json_text.h"
#include "base/metric.h"
#include "signal/native/wire_types.h"

#define WIRE_DEPTH_MAX   8    /**< of nesting */
#define WIRE_VALUES_MAX  8192 /**< in one message */
#define WIRE_PROBLEM_MAX 200  /**< bytes of a sentence, with terminator */

/** A request that was read. Its texts live until wire_message_done. */
struct wire_message {
    enum wire_request_type type;
    uint64_t id; /**< 0: none (only requests that need none) */
    union wire_request request;
    struct json_document json;
    void *arrays[8];
    size_t array_count;
};

/** Why a message was refused. */
struct wire_problem {
    enum wire_error error;
    uint64_t id; /**< of the request when it could be read, else 0 */
    char sentence[WIRE_PROBLEM_MAX];
};

/** Reads and checks a request. Returns 0, or -EBADMSG with `ret_problem`. */
must_check int wire_read(struct bytes text, struct wire_message *ret_message,
                         struct wire_problem *ret_problem);
/** Frees what the message holds. Accepts a zeroed one. */
void wire_message_done(struct wire_message *message);

/** Whether a text that did not come in a message is a slug, in UTF-8. */
bool wire_is_slug(struct bytes text);

const char *wire_error_code(enum wire_error error);
/** The sentence of the schema. */
const char *wire_error_sentence(enum wire_error error);

/**
 * Writes what the server sends, without `seq` (wire_write_result_<type> and
 * wire_write_event_<type> are in wire_types.h). `id` 0: none.
 */
void wire_write_ok(struct json_text *out, uint64_t id);
void wire_write_error(struct json_text *out, uint64_t id, enum wire_error error,
                      const char *sentence);
void wire_write_pong(struct json_text *out);

extern const struct metric_description wire_request_metrics[WIRE_REQUEST_COUNT];
extern const struct metric_description wire_error_metrics[WIRE_ERROR_COUNT];
