/**
 * HTTP requests to servers that the operator names, on threads of their own (libcurl blocks). Only
 * http and https, no redirects, certificates are checked. Answers come back on the loop.
 */
#pragma once

#include "base/bytes.h"
#include "runtime/jobs.h"

#define HTTP_CALL_HEADERS_MAX 8

struct http_client;

/** One request; the client owns it from http_call_start until `done` returns. */
struct http_call {
    struct job job;
    struct http_client *client;
    char *url;
    char *body; /**< NULL: GET; else POST */
    size_t body_size;
    char *headers[HTTP_CALL_HEADERS_MAX]; /**< "Name: value" */
    size_t header_count;
    uint32_t timeout_ms;
    size_t answer_size_max;
    /** On the loop, exactly once; the call is freed behind it. */
    void (*done)(struct http_call *call, void *owner);
    void *owner;

    int error;       /**< 0, -ETIMEDOUT, -ECANCELED (the client stops), -EFBIG or -EIO */
    unsigned status; /**< of the answer; 0: there was none */
    char *answer;    /**< its body; NULL: empty */
    size_t answer_size;
    char problem[128]; /**< for the log */
};

/** Starts `threads` threads. Returns 0 or a negative errno. */
must_check int http_client_start(struct loop *loop, uint32_t threads,
                                 struct http_client **ret_client);
/** Breaks off what is under way (`done` is called), then ends. Accepts NULL; returns NULL. */
struct http_client *http_client_stop(struct http_client *client);

/** A GET to `url`, to be filled in; never NULL. Give it to http_call_start, or free it. */
struct http_call *http_call_new(const char *url);
/** Accepts NULL. */
void http_call_free(struct http_call *call);
/** Makes it a POST. Copies. */
void http_call_set_body(struct http_call *call, struct bytes body, const char *type);
/** Adds a request field. Copies; more than HTTP_CALL_HEADERS_MAX are a fault. */
void http_call_add_header(struct http_call *call, const char *name, const char *value);
/** Sends it. Returns 0, or -EAGAIN when too many wait (the call is freed, `done` is not called). */
must_check int http_call_start(struct http_client *client, struct http_call *call);
