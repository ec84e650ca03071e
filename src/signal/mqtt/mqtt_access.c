#include "signal/mqtt/mqtt_access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "proto/mqtt/mqtt_topic.h"
#include "signal/mqtt/mqtt_presence.h"
#include "signal/mqtt/mqtt_topics.h"

static struct mqtt_access *access_of(struct broker_owner *owner)
{
    return container_of(owner, struct mqtt_access, owner);
}

/** What a client's context is: NULL for guests and users who came with a password. */
struct visitor {
    enum {
        VISITOR_COMING, /**< struct coming */
        VISITOR_HOLDER, /**< struct holder */
    } kind;
};

/** Its password is being checked. */
struct coming {
    struct visitor visitor;
    struct mqtt_access *access;
    struct broker_client *client;
    struct user_login_request request;
};

/** It showed a token. */
struct holder {
    struct visitor visitor;
    bool may_publish;
    char user[];
};

/** ---- who ---- */

static int refuse(struct mqtt_access *access, const struct broker_login *login, int reason)
{
    log_info(access->config.log, "MQTT: login refused", log_address("remote", &login->remote),
             log_number("reason", reason));
    return reason;
}

static int refuse_token(struct mqtt_access *access, const struct broker_login *login)
{
    user_login_note_failure(access->config.logins, &login->remote, access->now_us);
    return refuse(access, login, MQTT_BAD_USER_OR_PASSWORD);
}

/** A token has three parts; a password that looks like one is none. */
static bool looks_like_token(struct bytes password)
{
    size_t dots = 0;
    for (size_t i = 0; i < password.size; i++)
        dots += password.data[i] == '.';
    return dots == 2 && text_starts_with(password, "eyJ");
}

static int login_by_token(struct mqtt_access *access, struct broker_client *client,
                          const struct broker_login *login, struct bytes *ret_user)
{
    struct token_grants grants;
    if (!user_login_allows(access->config.logins, &login->remote, access->now_us))
        return refuse(access, login, MQTT_CONNECTION_RATE_EXCEEDED);
    int result = token_verifier_check(access->config.tokens, login->password,
                                      access->now_unix_us / TIME_US_PER_S, &grants);
    // a token for a room alone names nobody
    if (result < 0 || grants.user[0] == '\0')
        return refuse_token(access, login);
    struct bytes user = bytes_of_text(grants.user);
    if (login->user.size > 0 && !bytes_equal(login->user, user))
        return refuse_token(access, login);
    struct holder *holder = memory_allocate(1, sizeof(*holder) + user.size);
    holder->visitor.kind = VISITOR_HOLDER;
    holder->may_publish = !grants.denials.data;
    memcpy(holder->user, user.data, user.size);
    broker_client_set_context(client, holder);
    *ret_user = bytes_of(holder->user, user.size);
    return MQTT_SUCCESS;
}

/** A result of the login service in the words of MQTT; a user is then in `ret_user`. */
static int take_result(struct mqtt_access *access, const struct user_login_request *request,
                       int result, struct bytes *ret_user)
{
    switch (result) {
    case 0:
        memcpy(access->name, request->name, sizeof(access->name));
        *ret_user = bytes_of_text(access->name);
        return MQTT_SUCCESS;
    case -EAGAIN:
        return MQTT_CONNECTION_RATE_EXCEEDED;
    case -EBUSY:
        return MQTT_SERVER_BUSY;
    default:
        return MQTT_BAD_USER_OR_PASSWORD;
    }
}

static void password_checked(struct user_login_request *request, int result)
{
    struct coming *coming = container_of(request, struct coming, request);
    struct mqtt_access *access = coming->access;
    struct broker_client *client = coming->client;
    struct bytes user = bytes_of(NULL, 0);
    int reason = take_result(access, request, result, &user);
    broker_client_set_context(client, NULL);
    free(coming);
    access->decided(access, client, reason, user);
}

static int login_by_password(struct mqtt_access *access, struct broker_client *client,
                             const struct broker_login *login, struct bytes *ret_user)
{
    struct coming *coming = memory_new(struct coming);
    *coming = (struct coming){ .visitor.kind = VISITOR_COMING,
                               .access = access,
                               .client = client,
                               .request.done = password_checked };
    struct user_login_attempt attempt = { .name = login->user,
                                          .password = login->password,
                                          .remote = login->remote,
                                          .protocol = "mqtt" };
    int result =
        user_login_check(access->config.logins, &attempt, &coming->request, access->now_us);
    if (result == -EINPROGRESS) {
        broker_client_set_context(client, coming);
        return result;
    }
    int reason = take_result(access, &coming->request, result, ret_user);
    free(coming);
    return reason;
}

static int login(struct broker_owner *owner, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user)
{
    struct mqtt_access *access = access_of(owner);
    if (login->has_password && looks_like_token(login->password))
        return login_by_token(access, client, login, ret_user);
    if (login->has_password)
        return login_by_password(access, client, login, ret_user);
    if (!access->config.guests)
        return refuse(access, login, MQTT_NOT_AUTHORIZED);
    // a name alone proves nothing
    *ret_user = bytes_of(NULL, 0);
    return MQTT_SUCCESS;
}

static void gone(struct broker_owner *owner, struct broker_client *client)
{
    struct visitor *visitor = broker_client_context(client);
    broker_client_set_context(client, NULL);
    if (visitor && visitor->kind == VISITOR_COMING) {
        struct coming *coming = container_of(visitor, struct coming, visitor);
        user_login_cancel(&coming->request, access_of(owner)->now_us);
    }
    free(visitor);
}

static bool may_publish_at_all(const struct broker_client *client)
{
    struct visitor *visitor = broker_client_context(client);
    return !visitor || visitor->kind != VISITOR_HOLDER ||
           container_of(visitor, struct holder, visitor)->may_publish;
}

bool mqtt_access_by_password(const struct broker_client *client)
{
    return !broker_client_context(client) && broker_client_user(client).size > 0;
}

/** ---- what ---- */

static struct mqtt_subject subject_of(const struct broker_client *client)
{
    return (struct mqtt_subject){ .user = broker_client_user(client),
                                  .client_id = broker_client_id(client) };
}

static bool may_publish(struct broker_owner *owner, const struct broker_client *client,
                        struct bytes topic)
{
    const struct mqtt_access *access = access_of(owner);
    if (!may_publish_at_all(client))
        return false;
    if (!access->config.rules)
        return true;
    struct mqtt_subject subject = subject_of(client);
    return mqtt_rules_allow_publish(access->config.rules, &subject, topic);
}

static bool may_subscribe(struct broker_owner *owner, const struct broker_client *client,
                          struct bytes filter)
{
    const struct mqtt_access *access = access_of(owner);
    struct bytes rest = filter;
    if (text_equal(mqtt_level_take(&rest), MQTT_TOPICS_RESERVED))
        return mqtt_calls_may_subscribe(access->calls, client, filter) ||
               mqtt_presence_may_subscribe(client, filter);
    if (!access->config.rules)
        return true;
    struct mqtt_subject subject = subject_of(client);
    return mqtt_rules_allow_subscribe(access->config.rules, &subject, filter);
}

/** ---- calls ---- */

static int take(struct broker_owner *owner, struct broker_client *client, uint64_t now_us,
                const struct mqtt_publish *publish, const struct mqtt_properties *properties)
{
    (void)properties;
    return mqtt_calls_take(access_of(owner)->calls, client, now_us, publish);
}

static void here(struct broker_owner *owner, struct broker_client *client, uint64_t now_us,
                 bool present)
{
    mqtt_calls_here(access_of(owner)->calls, client, now_us, present);
}

static void subscribed(struct broker_owner *owner, struct broker_client *client, uint64_t now_us,
                       struct bytes filter, bool is_there)
{
    mqtt_calls_subscribed(access_of(owner)->calls, client, now_us, filter, is_there);
}

static void left(struct broker_owner *owner, struct broker_client *client, uint64_t now_us,
                 enum broker_leave how)
{
    mqtt_calls_left(access_of(owner)->calls, client, now_us, how);
}

/** ---- life ---- */

void mqtt_access_reload(struct mqtt_access *access, const struct mqtt_access_config *config)
{
    access->config = *config;
}

void mqtt_access_init(struct mqtt_access *access, const struct mqtt_access_config *config,
                      struct mqtt_calls *calls)
{
    *access = (struct mqtt_access){ .config = *config, .calls = calls };
    access->owner = (struct broker_owner){ .login = login,
                                           .may_publish = may_publish,
                                           .may_subscribe = may_subscribe,
                                           .take = take,
                                           .here = here,
                                           .subscribed = subscribed,
                                           .left = left,
                                           .gone = gone };
}
