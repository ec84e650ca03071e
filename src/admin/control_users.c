// The control API: users. The store is read and changed on a job thread, and an answer to a change
// waits until the server itself has taken it over.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_api_int.h"
#include "base/memory.h"
#include "base/opaque_string.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "runtime/loop.h"
#include "users/user_edit.h"
#include "users/user_watch.h"

#define REQUESTS_MAX 64
#define PAGE_DEFAULT 1000
#define PAGE_MAX     10000
/** For those who come when too much is under way. */
#define RETRY_AFTER_S "1"

enum what {
    LIST_USERS,
    SHOW_USER,
    ADD_USER,
    CHANGE_USER,
    REMOVE_USER,
};

/** A request under way. Secret while it has a password. */
struct request {
    struct list node;
    struct control_api *api;
    handle exchange;
    enum what what;
    struct user_look look;         /**< after a change */
    char caller[ROOM_MEMBER_SIZE]; /**< who changes it */
    struct job job;

    /** Of the job's thread while the job is out. */
    char name[USER_NAME_MAX + 1]; /**< of the user; of a list: only those behind it */
    char password[USER_PASSWORD_MAX + 1];
    char display_name[USER_DISPLAY_NAME_MAX + 1];
    const char *path;  /**< of the store */
    const char *realm; /**< of all users here */
    size_t limit;      /**< of a list */
    struct user_edit edit;
    int result;
    char problem[256];
    struct user_list users; /**< as they are after it: those that the answer is about */
    bool more;              /**< others come behind them */
};

static void request_free(struct request *request)
{
    list_remove(&request->node);
    request->api->users.count--;
    user_list_done(&request->users);
    memory_wipe(request->password, sizeof(request->password));
    free(request);
}

/** ---- on the job thread ---- */

/** Keeps those that the answer is about; the rest may be many, and goes here. */
static void take_part(struct request *request, struct user_list *all)
{
    size_t at = 0, count = 0;
    if (request->what == LIST_USERS) {
        while (at < all->count && strcmp(all->items[at].name, request->name) <= 0)
            at++;
        count = min_of(all->count - at, request->limit);
    } else {
        const struct user *user = user_list_find(all, bytes_of_text(request->name));
        at = user ? (size_t)(user - all->items) : 0;
        count = user != NULL;
    }
    request->more = at + count < all->count;
    request->users.items = memory_new_array(struct user, max_of(count, (size_t)1));
    request->users.count = count;
    for (size_t i = 0; i < count; i++) {
        struct user *user = &all->items[at + i];
        request->users.items[i] = *user;
        user->name = user->realm = user->display_name = NULL;
    }
    user_list_done(all);
}

static int work_with(struct request *request, struct user_store *store)
{
    struct user_list all;
    int result = 0;
    if (request->what != LIST_USERS && request->what != SHOW_USER) {
        struct entropy entropy;
        entropy_init(&entropy);
        result = user_edit_apply(store, &request->edit, &entropy.random,
                                 (int64_t)(clock_unix_us() / TIME_US_PER_S));
        entropy_done(&entropy);
    }
    if (result == 0)
        result = user_store_read(store, request->realm, &all);
    if (result == 0)
        take_part(request, &all);
    else
        snprintf(request->problem, sizeof(request->problem), "%s", user_store_problem(store));
    return result;
}

static void work(struct job *job)
{
    struct request *request = container_of(job, struct request, job);
    struct text_builder problem = text_builder_of(request->problem, sizeof(request->problem));
    struct user_store *store;
    request->result = user_store_open(request->path, &store, &problem);
    if (request->result < 0)
        return;
    request->result = work_with(request, store);
    user_store_close(store);
}

/** ---- answers ---- */

static json_t *user_json(const struct user *user)
{
    return json_pack("{s:s,s:s?,s:s,s:b,s:b,s:I,s:I}", "name", user->name, "display_name",
                     user->display_name, "role", user_role_name(user->role), "disabled",
                     (int)user->disabled, "digest", (int)user->keys.has_digest, "created",
                     (json_int_t)user->created_unix_s, "password_changed",
                     (json_int_t)user->changed_unix_s);
}

static json_t *page_json(const struct request *request)
{
    const struct user_list *users = &request->users;
    json_t *page = json_array();
    for (size_t i = 0; i < users->count; i++)
        json_array_append_new(page, user_json(&users->items[i]));
    const char *next = request->more ? users->items[users->count - 1].name : NULL;
    return json_pack("{s:o,s:s?}", "users", page, "next", next);
}

static void refuse(const struct request *request, struct http_exchange *exchange)
{
    switch (request->result) {
    case -ENOENT:
        http_exchange_fail(exchange, 404, "There is no such user.");
        break;
    case -EEXIST:
        http_exchange_fail(exchange, 409, "There is a user of this name.");
        break;
    case -EBUSY: // another process changes it, as an import does
        http_exchange_add_field(exchange, "Retry-After", RETRY_AFTER_S);
        http_exchange_fail(exchange, 503, "Somebody else changes the users. Try again soon.");
        break;
    default:
        log_failure(request->api->config.log, "the user store could not be used",
                    log_text("problem", request->problem));
        http_exchange_fail(exchange, 500, "The user store could not be used; the log says why.");
    }
}

static void answer(const struct request *request)
{
    struct http_server *http = request->api->config.http;
    struct http_exchange *exchange =
        http ? http_server_find_exchange(http, request->exchange) : NULL;
    if (!exchange)
        return;
    const struct user *user = user_list_find(&request->users, bytes_of_text(request->name));
    if (request->result < 0)
        refuse(request, exchange);
    else if (request->what == LIST_USERS)
        control_respond(exchange, 200, page_json(request));
    else if (request->what == REMOVE_USER)
        http_exchange_respond(exchange, 204, NULL, (struct bytes){ 0 });
    else if (user)
        control_respond(exchange, request->what == ADD_USER ? 201 : 200, user_json(user));
    else
        http_exchange_fail(exchange, 404, "There is no such user.");
}

/** Who changed whom, for the log of the operator. */
static void note(const struct request *request)
{
    static const char *const words[] = {
        [ADD_USER] = "added", [CHANGE_USER] = "changed", [REMOVE_USER] = "removed"
    };
    log_info(request->api->config.log, "users are changed by the control API",
             log_text("what", words[request->what]), log_text("user", request->name),
             log_text("by", request->caller));
}

static void looked(struct user_look *look)
{
    struct request *request = container_of(look, struct request, look);
    answer(request);
    request_free(request);
}

static void worked(struct job *job)
{
    struct request *request = container_of(job, struct request, job);
    struct control_api *api = request->api;
    bool changed =
        request->result == 0 && request->what != LIST_USERS && request->what != SHOW_USER;
    if (changed)
        note(request);
    // to its end the server may not look any more
    if (changed && api->config.http) {
        user_watch_look(api->config.users, &request->look);
        return;
    }
    answer(request);
    request_free(request);
}

/** ---- requests ---- */

static int prepare(struct control_api *api)
{
    if (api->users.jobs)
        return 0;
    int result = jobs_start(1, REQUESTS_MAX, &api->users.jobs);
    if (result == 0)
        result = job_inbox_init(&api->users.inbox, api->config.loop, api->users.jobs);
    if (result < 0)
        api->users.jobs = jobs_stop(api->users.jobs);
    return result;
}

static void refuse_for_now(struct http_exchange *exchange)
{
    http_exchange_add_field(exchange, "Retry-After", RETRY_AFTER_S);
    http_exchange_fail(exchange, 503, "Too many ask for users at once.");
}

/** NULL, with 503 answered: too many are under way. */
static struct request *request_new(struct control_api *api, struct http_exchange *exchange,
                                   enum what what)
{
    if (api->users.count >= REQUESTS_MAX || prepare(api) < 0) {
        refuse_for_now(exchange);
        return NULL;
    }
    struct request *request = memory_new(struct request);
    request->api = api;
    request->exchange = http_exchange_handle(exchange);
    request->what = what;
    control_caller(api, exchange, request->caller);
    request->look.done = looked;
    list_init(&request->look.node);
    request->job = (struct job){ .work = work, .done = worked };
    request->path = user_watch_path(api->config.users);
    request->realm = user_watch_realm(api->config.users);
    request->edit = (struct user_edit){ .kind = what == ADD_USER      ? USER_EDIT_ADD
                                                : what == REMOVE_USER ? USER_EDIT_REMOVE
                                                                      : USER_EDIT_CHANGE,
                                        .name = request->name,
                                        .realm = request->realm };
    list_append(&api->users.requests, &request->node);
    api->users.count++;
    return request;
}

static void start(struct request *request, struct http_exchange *exchange)
{
    if (job_submit(&request->api->users.inbox, &request->job) == 0)
        return;
    refuse_for_now(exchange);
    request_free(request);
}

static bool take_name(struct request *request, const char *name)
{
    size_t size;
    return opaque_string_prepare(bytes_of_text(name), request->name, sizeof(request->name),
                                 &size) == 0 &&
           user_name_is_valid(request->name);
}

/** A request about the user of the path, or NULL, answered. */
static struct request *request_about(struct control_api *api, struct http_exchange *exchange,
                                     enum what what)
{
    struct request *request =
        control_admit(api, exchange) ? request_new(api, exchange, what) : NULL;
    if (!request || take_name(request, http_exchange_parameter(exchange, "user")))
        return request;
    http_exchange_fail(exchange, 404, "There is no such user.");
    request_free(request);
    return NULL;
}

void control_users_list(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    char after[USER_NAME_MAX + 1] = "", limit_text[16] = "";
    uint64_t limit = PAGE_DEFAULT;
    if (!control_admit(api, exchange))
        return;
    int after_result = http_exchange_query(exchange, "after", after, sizeof(after));
    int limit_result = http_exchange_query(exchange, "limit", limit_text, sizeof(limit_text));
    bool good = (after_result >= 0 || after_result == -ENOENT) &&
                (limit_result == -ENOENT ||
                 (limit_result >= 0 &&
                  text_parse_u64(bytes_of_text(limit_text), PAGE_MAX, &limit) == 0 && limit > 0));
    if (!good) {
        http_exchange_fail(exchange, 400, "after is a user's name, limit a number up to 10000.");
        return;
    }
    struct request *request = request_new(api, exchange, LIST_USERS);
    if (!request)
        return;
    memcpy(request->name, after, sizeof(request->name));
    request->limit = limit;
    start(request, exchange);
}

void control_user_get(struct http_exchange *exchange, void *owner)
{
    struct request *request = request_about(owner, exchange, SHOW_USER);
    if (request)
        start(request, exchange);
}

void control_user_remove(struct http_exchange *exchange, void *owner)
{
    struct request *request = request_about(owner, exchange, REMOVE_USER);
    if (!request)
        return;
    start(request, exchange);
}

/** ---- bodies ---- */

/** What a body says, as it says it. */
struct body {
    const char *name, *password, *display_name, *role;
    bool disabled, has_disabled, digest, has_digest;
};

/** Returns what is wrong with it, or NULL. */
static const char *take_body(struct request *request, const struct body *body)
{
    struct user_edit *edit = &request->edit;
    size_t size;
    if (body->name && !take_name(request, body->name))
        return "A name is 1 to 255 bytes without \":\", control characters and blanks at its ends.";
    if (body->password) {
        if (opaque_string_prepare(bytes_of_text(body->password), request->password,
                                  sizeof(request->password), &size) < 0)
            return "A password is 1 to 508 bytes without control characters.";
        edit->password = request->password;
    }
    if (body->has_digest && !body->password)
        return "Digest keys are made of a password: send it as well.";
    if (body->has_digest)
        edit->digest = body->digest ? USER_DIGEST_YES : USER_DIGEST_NO;
    if (body->role && user_role_parse(bytes_of_text(body->role), &edit->role) < 0)
        return "A role is user, moderator or operator.";
    edit->has_role = body->role != NULL;
    if (body->display_name) {
        if (text_copy(request->display_name, sizeof(request->display_name),
                      bytes_of_text(body->display_name)) < 0 ||
            (*body->display_name && !user_display_name_is_valid(body->display_name)))
            return "A display name is up to 128 bytes without control characters and blanks at its "
                   "ends.";
        edit->display_name = request->display_name;
    }
    edit->has_disabled = body->has_disabled;
    edit->disabled = body->disabled;
    return NULL;
}

/** Takes the body and starts; owns the request. */
static void start_with_body(struct request *request, struct http_exchange *exchange)
{
    struct body body = { 0 };
    json_t *json = control_body(exchange);
    bool add = request->what == ADD_USER;
    const struct control_field fields[] = {
        { "password", CONTROL_TEXT, USER_PASSWORD_MAX, add, &body.password, NULL },
        { "display_name", CONTROL_TEXT, USER_DISPLAY_NAME_MAX, false, &body.display_name, NULL },
        { "role", CONTROL_TEXT, 16, false, &body.role, NULL },
        { "disabled", CONTROL_FLAG, 0, false, &body.disabled, &body.has_disabled },
        { "digest", CONTROL_FLAG, 0, false, &body.digest, &body.has_digest },
        { "name", CONTROL_TEXT, USER_NAME_MAX, true, &body.name, NULL },
    };
    size_t count = array_size(fields) - !add; // nobody gets another name
    bool taken = json && control_fields(exchange, json, fields, count);
    const char *problem = taken ? take_body(request, &body) : NULL;
    if (problem)
        http_exchange_fail(exchange, 400, problem);
    json_decref(json);
    if (!taken || problem) {
        request_free(request);
        return;
    }
    start(request, exchange);
}

void control_user_add(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    struct request *request =
        control_admit(api, exchange) ? request_new(api, exchange, ADD_USER) : NULL;
    if (request)
        start_with_body(request, exchange);
}

void control_user_update(struct http_exchange *exchange, void *owner)
{
    struct request *request = request_about(owner, exchange, CHANGE_USER);
    if (request)
        start_with_body(request, exchange);
}

void control_users_stop(struct control_api *api)
{
    // those that wait for the server to look; jobs that are out are waited for below
    struct request *request;
    list_each(request, &api->users.requests, node)
    {
        if (list_empty(&request->look.node))
            continue;
        user_watch_look_cancel(&request->look);
        request_free(request);
    }
    job_inbox_done(&api->users.inbox);
    api->users.jobs = jobs_stop(api->users.jobs);
}
