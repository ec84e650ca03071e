#include "signal/mqtt/mqtt_access.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "proto/mqtt/mqtt_topic.h"
#include "users/user_password.h"

/** Wrong passwords of one address: so many at once, and so many per second. */
#define FAILURES_BURST 10
#define FAILURES_PER_S 1

/** The server's own topics. */
#define OWN_TOPICS "roost/#"

static struct mqtt_access *access_of(struct broker_owner *owner)
{
    return container_of(owner, struct mqtt_access, owner);
}

/** Of a client that showed a token. */
struct holder {
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

/**
 * Too many wrong passwords came from there: none is looked at for now, right or wrong. Loopback is
 * where proxies are: many people behind one address.
 */
static bool is_guessing(const struct mqtt_access *access, const struct broker_login *login)
{
    return !net_address_is_loopback(&login->remote) &&
           !address_rate_has(&access->failures, &login->remote, access->now_us, FAILURES_PER_S,
                             FAILURES_BURST);
}

static int refuse_password(struct mqtt_access *access, const struct broker_login *login)
{
    // is_guessing has looked whether there is room
    bool counted = address_rate_take(&access->failures, &login->remote, access->now_us,
                                     FAILURES_PER_S, FAILURES_BURST);
    (void)counted;
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
    int result = token_verifier_check(access->config.tokens, login->password,
                                      access->now_unix_us / TIME_US_PER_S, &grants);
    // a token for a room alone names nobody
    if (result < 0 || grants.user[0] == '\0')
        return refuse_password(access, login);
    struct bytes user = bytes_of_text(grants.user);
    if (login->user.size > 0 && !bytes_equal(login->user, user))
        return refuse_password(access, login);
    struct holder *holder = memory_allocate(1, sizeof(*holder) + user.size);
    holder->may_publish = !grants.denials.data;
    memcpy(holder->user, user.data, user.size);
    broker_client_set_context(client, holder);
    *ret_user = bytes_of(holder->user, user.size);
    return MQTT_SUCCESS;
}

static int login_by_password(struct mqtt_access *access, const struct broker_login *login,
                             struct bytes *ret_user)
{
    const struct user_list *users =
        access->config.users ? access->config.users(access->config.owner) : NULL;
    if (!users || !user_list_admits(users, login->user, login->password))
        return refuse_password(access, login);
    *ret_user = login->user;
    return MQTT_SUCCESS;
}

static int login(struct broker_owner *owner, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user)
{
    struct mqtt_access *access = access_of(owner);
    if (login->has_password && is_guessing(access, login))
        return refuse(access, login, MQTT_CONNECTION_RATE_EXCEEDED);
    if (login->has_password && looks_like_token(login->password))
        return login_by_token(access, client, login, ret_user);
    if (login->has_password)
        return login_by_password(access, login, ret_user);
    if (!access->config.guests)
        return refuse(access, login, MQTT_NOT_AUTHORIZED);
    // a name alone proves nothing
    *ret_user = bytes_of(NULL, 0);
    return MQTT_SUCCESS;
}

static void gone(struct broker_owner *owner, struct broker_client *client)
{
    (void)owner;
    free(broker_client_context(client));
    broker_client_set_context(client, NULL);
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
    const struct holder *holder = broker_client_context(client);
    if (holder && !holder->may_publish)
        return false;
    if (mqtt_filter_matches(bytes_of_text(OWN_TOPICS), topic))
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
    if (!access->config.rules)
        return true;
    struct mqtt_subject subject = subject_of(client);
    return mqtt_rules_allow_subscribe(access->config.rules, &subject, filter);
}

/** ---- life ---- */

void mqtt_access_reload(struct mqtt_access *access, const struct mqtt_access_config *config)
{
    access->config = *config;
}

void mqtt_access_init(struct mqtt_access *access, const struct mqtt_access_config *config)
{
    *access = (struct mqtt_access){ .config = *config };
    access->owner = (struct broker_owner){
        .login = login, .may_publish = may_publish, .may_subscribe = may_subscribe, .gone = gone
    };
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    address_rate_init(&access->failures, secret);
}
