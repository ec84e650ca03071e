// The control API: an operator's password in place of a token that was made before.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account_token.h"
#include "admin/control_api_int.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/loop.h"
#include "users/user_login.h"
#include "users/user_watch.h"

#define VALID_DEFAULT_S 3600
#define VALID_MAX_S     43200

/** A login under way. */
struct login {
    struct list node;
    struct control_api *api;
    handle exchange;
    struct user_login_request request;
    uint64_t valid_s;
};

static void login_free(struct login *login)
{
    list_remove(&login->node);
    free(login);
}

static void refuse(struct http_exchange *exchange, int result)
{
    switch (result) {
    case -EACCES:
        http_exchange_add_field(exchange, "WWW-Authenticate", "Bearer");
        http_exchange_fail(exchange, 401, "User name or password is wrong.");
        break;
    case -EAGAIN:
        http_exchange_add_field(exchange, "Retry-After", "10");
        http_exchange_fail(exchange, 429, "Too many wrong passwords. Try again later.");
        break;
    default:
        http_exchange_add_field(exchange, "Retry-After", "1");
        http_exchange_fail(exchange, 503, "Too many sign in at once. Try again soon.");
    }
}

static void give_token(const struct login *login, struct http_exchange *exchange,
                       const struct user *user)
{
    const struct control_api_config *config = &login->api->config;
    struct bytes key = config->token_key(config->owner);
    uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
    struct token_grants grants = { .admin = true, .expires_unix_s = now_s + login->valid_s };
    ensure(text_copy(grants.user, sizeof(grants.user), bytes_of_text(user->name)) == 0);
    account_token_id(user, key, grants.id);
    char *token = token_mint(&grants, key, now_s);
    log_info(config->log, "an operator signed in to the control API", log_text("user", user->name),
             log_address("remote", &login->request.remote));
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    control_respond(
        exchange, 200,
        json_pack("{s:s,s:I}", "token", token, "expires", (json_int_t)grants.expires_unix_s));
    memory_wipe(token, strlen(token));
    free(token);
}

static void answer(const struct login *login, struct http_exchange *exchange, int result)
{
    const struct control_api_config *config = &login->api->config;
    const char *name = login->request.name;
    const struct user *user =
        result == 0 ? user_list_find(user_watch_users(config->users), bytes_of_text(name)) : NULL;
    if (result < 0)
        refuse(exchange, result);
    else if (!user || user->role != USER_ROLE_OPERATOR)
        http_exchange_fail(exchange, 403, "The control API is for operators.");
    else if (strlen(name) >= TOKEN_NAME_SIZE)
        http_exchange_fail(exchange, 403, "Tokens are for names of at most 64 bytes.");
    else
        give_token(login, exchange, user);
}

static void checked(struct user_login_request *request, int result)
{
    struct login *login = container_of(request, struct login, request);
    struct http_server *http = login->api->config.http;
    struct http_exchange *exchange = http ? http_server_find_exchange(http, login->exchange) : NULL;
    if (exchange)
        answer(login, exchange, result);
    login_free(login);
}

static void start(struct control_api *api, struct http_exchange *exchange, const char *user,
                  const char *password, uint64_t valid_s)
{
    struct login *login = memory_new(struct login);
    *login = (struct login){ .api = api,
                             .exchange = http_exchange_handle(exchange),
                             .request.done = checked,
                             .valid_s = valid_s };
    list_append(&api->logins, &login->node);
    struct user_login_attempt attempt = { .name = bytes_of_text(user),
                                          .password = bytes_of_text(password),
                                          .remote = *http_exchange_remote(exchange),
                                          .protocol = "control API",
                                          .is_private = true };
    int result = user_login_check(api->config.logins, &attempt, &login->request,
                                  loop_now_us(api->config.loop));
    if (result == -EINPROGRESS)
        return;
    answer(login, exchange, result);
    login_free(login);
}

void control_login(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    const char *user = NULL, *password = NULL;
    uint64_t valid_s = VALID_DEFAULT_S;
    json_t *body = control_body(exchange);
    if (!body)
        return;
    const struct control_field fields[] = {
        { "user", CONTROL_TEXT, USER_NAME_MAX, true, &user, NULL },
        { "password", CONTROL_TEXT, USER_PASSWORD_MAX, true, &password, NULL },
        { "valid_s", CONTROL_NUMBER, VALID_MAX_S, false, &valid_s, NULL },
    };
    bool good = control_fields(exchange, body, fields, array_size(fields));
    if (good && valid_s == 0)
        http_exchange_fail(exchange, 400, "valid_s is 1 to 43200.");
    else if (good)
        start(api, exchange, user, password, valid_s);
    json_decref(body);
}

void control_login_stop(struct control_api *api)
{
    struct login *login;
    list_each(login, &api->logins, node)
    {
        user_login_cancel(&login->request, loop_now_us(api->config.loop));
        login_free(login);
    }
}
