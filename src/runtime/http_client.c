#include "runtime/http_client.h"

#include <curl/curl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define WAITING_MAX    256
#define TIMEOUT_MS     5000
#define ANSWER_DEFAULT (64u << 10)

struct http_client {
    struct jobs *jobs;
    struct job_inbox inbox;
    atomic_bool stopping;
};

int http_client_start(struct loop *loop, uint32_t threads, struct http_client **ret_client)
{
    struct http_client *client = memory_new(struct http_client);
    int result = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
    if (result == 0)
        result = jobs_start(threads, WAITING_MAX, &client->jobs);
    if (result == 0)
        result = job_inbox_init(&client->inbox, loop, client->jobs);
    if (result < 0)
        http_client_stop(client);
    else
        *ret_client = client;
    return result;
}

struct http_client *http_client_stop(struct http_client *client)
{
    if (!client)
        return NULL;
    atomic_store(&client->stopping, true);
    job_inbox_done(&client->inbox);
    jobs_stop(client->jobs);
    curl_global_cleanup();
    free(client);
    return NULL;
}

/** ---- a call ---- */

struct http_call *http_call_new(const char *url)
{
    struct http_call *call = memory_new(struct http_call);
    call->url = memory_copy(url, strlen(url));
    call->timeout_ms = TIMEOUT_MS;
    call->answer_size_max = ANSWER_DEFAULT;
    return call;
}

void http_call_free(struct http_call *call)
{
    if (!call)
        return;
    free(call->url);
    free(call->body);
    for (size_t i = 0; i < call->header_count; i++)
        free(call->headers[i]);
    free(call->answer);
    free(call);
}

void http_call_add_header(struct http_call *call, const char *name, const char *value)
{
    ensure(call->header_count < HTTP_CALL_HEADERS_MAX);
    size_t size = strlen(name) + strlen(value) + 3;
    char *line = memory_allocate(1, size);
    snprintf(line, size, "%s: %s", name, value);
    call->headers[call->header_count++] = line;
}

void http_call_set_body(struct http_call *call, struct bytes body, const char *type)
{
    ensure(!call->body);
    call->body = memory_copy(body.data, body.size);
    call->body_size = body.size;
    http_call_add_header(call, "Content-Type", type);
}

/** ---- on a thread of the pool ---- */

static size_t take_answer(char *data, size_t size, size_t count, void *owner)
{
    struct http_call *call = owner;
    size_t length = size * count;
    if (length > call->answer_size_max - call->answer_size) {
        call->error = -EFBIG;
        return 0;
    }
    call->answer = memory_resize(call->answer, call->answer_size + length + 1);
    memcpy(call->answer + call->answer_size, data, length);
    call->answer_size += length;
    call->answer[call->answer_size] = '\0';
    return length;
}

/** curl asks now and then; anything but 0 ends the transfer. */
static int go_on(void *owner, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    const struct http_call *call = owner;
    return atomic_load_explicit(&call->client->stopping, memory_order_relaxed);
}

static void set_options(struct http_call *call, CURL *curl, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "roost");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (call->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
    }
}

static int errno_of(const struct http_call *call, CURLcode code)
{
    if (code == CURLE_OK || call->error < 0)
        return call->error;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return -ETIMEDOUT;
    return code == CURLE_ABORTED_BY_CALLBACK ? -ECANCELED : -EIO;
}

static void work(struct job *job)
{
    struct http_call *call = container_of(job, struct http_call, job);
    if (atomic_load(&call->client->stopping)) {
        call->error = -ECANCELED;
        return;
    }
    CURL *curl = curl_easy_init();
    // no "Expect: 100-continue": a round trip for nothing
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < call->header_count; i++)
        headers = curl_slist_append(headers, call->headers[i]);
    ensure(curl && headers);
    set_options(call, curl, headers);
    CURLcode code = curl_easy_perform(curl);
    call->error = errno_of(call, code);
    long status = 0;
    if (call->error == 0)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    call->status = (unsigned)status;
    if (call->error < 0)
        snprintf(call->problem, sizeof(call->problem), "%s", curl_easy_strerror(code));
    else if (status < 200 || status > 299)
        snprintf(call->problem, sizeof(call->problem), "status %ld", status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

static void worked(struct job *job)
{
    struct http_call *call = container_of(job, struct http_call, job);
    call->done(call, call->owner);
    http_call_free(call);
}

int http_call_start(struct http_client *client, struct http_call *call)
{
    call->client = client;
    call->job.work = work;
    call->job.done = worked;
    int result = job_submit(&client->inbox, &call->job);
    if (result < 0)
        http_call_free(call);
    return result;
}
