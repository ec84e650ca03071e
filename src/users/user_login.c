#include "users/user_login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"
#include "runtime/address_limit.h"
#include "users/login_cache.h"
#include "users/login_limits.h"

/** Passwords that wait, in all: two seconds of work. */
#define WORKS_MAX 1024
/** Of one address, so that others wait behind few. */
#define WORKS_PER_ADDRESS_MAX 64
/** Of one address for one account. */
#define WORKS_PER_PAIR_MAX 4
/** Of loopback together, where many people are behind one address. */
#define WORKS_LOOPBACK_MAX 512

enum user_login_metric {
#define METRIC(id, kind, name, labels, help) LOGIN_##id,
#include "users/user_login.def"
#undef METRIC
    LOGIN_METRIC_COUNT,
};

static const struct metric_description descriptions[LOGIN_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(LOGIN_##id, kind, name, labels, help)
#include "users/user_login.def"
#undef METRIC
};

struct user_login {
    struct user_login_config config;
    struct lane {
        struct jobs *jobs; /**< NULL: somebody else has them done */
        struct job_inbox inbox;
    } lanes[2]; /**< for keys of ours, and for slower ones: nobody waits behind those */
    struct list works;
    struct login_cache cache;
    struct login_limits limits;
    metric_value metrics[LOGIN_METRIC_COUNT];
};

/** One password of one user, on its way through the job thread. Secret. */
struct user_login_work {
    struct list node;
    struct user_login *login;
    struct list requests; /**< all who showed it */
    struct login_tag tag;
    struct address_key from; /**< who showed it first */
    bool from_loopback;
    bool is_private; /**< as somebody showed it */

    struct job job;
    /** Of the job's thread while the job is out. */
    struct user_keys keys; /**< without any for a name that nobody has */
    char name[USER_NAME_MAX + 1];
    char realm[USER_REALM_MAX + 1];
    char password[USER_PASSWORD_MAX];
    size_t password_size; /**< 0: one that nobody can have */
    bool admitted;
};

/** ---- results ---- */

static void count(struct user_login *login, enum user_login_metric metric)
{
    metric_add(&login->metrics[metric], 1);
}

static const struct user *find(const struct user_login *login, const char *name)
{
    const struct user_list *users = login->config.users(login->config.owner);
    return users && *name ? user_list_find(users, bytes_of_text(name)) : NULL;
}

/** Counts and logs what was not admitted; returns `result`. */
static int refuse(struct user_login *login, int result, const struct user *user,
                  const char *protocol, const struct net_address *remote)
{
    const char *reason = result == -EAGAIN  ? "too many wrong passwords"
                         : result == -EBUSY ? "too many logins at once"
                         : !user            ? "no such user"
                         : user->disabled   ? "the user is disabled"
                                            : "wrong password";
    count(login, result == -EAGAIN ? LOGIN_SLOWED : result == -EBUSY ? LOGIN_BUSY : LOGIN_REFUSED);
    log_info(login->config.log, "login refused", log_text("protocol", protocol),
             log_address("remote", remote), log_text("user", user ? user->name : ""),
             log_text("reason", reason));
    return result;
}

static int admit(struct user_login *login, const struct user *user,
                 struct user_login_request *request)
{
    count(login, LOGIN_ADMITTED);
    login_limits_succeeded(&login->limits, bytes_of_text(user->name), &request->remote);
    ensure(text_copy(request->name, sizeof(request->name), bytes_of_text(user->name)) == 0);
    request->role = user->role;
    return 0;
}

/** ---- the work ---- */

static void check_password(struct job *job)
{
    struct user_login_work *work = container_of(job, struct user_login_work, job);
    work->admitted = user_keys_admit(&work->keys, work->name, work->realm,
                                     bytes_of(work->password, work->password_size));
}

static void work_free(struct user_login_work *work)
{
    metric_subtract(&work->login->metrics[LOGIN_PENDING], 1);
    list_remove(&work->node);
    memory_wipe(work, sizeof(*work));
    free(work);
}

/** The user that was checked, if it still is one with the same keys. */
static const struct user *still_there(const struct user_login_work *work)
{
    const struct user *user = find(work->login, work->name);
    return user && user_keys_equal(&user->keys, &work->keys) ? user : NULL;
}

static void finish_request(struct user_login_request *request, int result)
{
    list_remove(&request->node);
    request->login = NULL;
    request->done(request, result);
}

static void checked(struct job *job)
{
    struct user_login_work *work = container_of(job, struct user_login_work, job);
    struct user_login *login = work->login;
    uint64_t now_us = loop_now_us(login->config.loop);
    const struct user *user = work->admitted ? still_there(work) : NULL;
    bool admitted = user && !user->disabled;
    if (admitted)
        login_cache_add(&login->cache, &work->tag, now_us);
    if (admitted && work->is_private && user->keys.scram_sha256.iterations == 0 &&
        login->config.renew)
        login->config.renew(login->config.owner, user,
                            bytes_of(work->password, work->password_size));
    // who comes now, from within `done`, starts anew
    list_remove(&work->node);
    while (!list_empty(&work->requests)) {
        struct user_login_request *request =
            container_of(work->requests.next, struct user_login_request, node);
        int result;
        if (admitted) {
            result = admit(login, user, request);
        } else {
            login_limits_failed(&login->limits, bytes_of_text(work->name), &request->remote,
                                now_us);
            result = refuse(login, -EACCES, find(login, work->name), request->protocol,
                            &request->remote);
        }
        finish_request(request, result);
    }
    work_free(work);
}

/** Whether one more may be checked. */
static bool has_room(struct user_login *login, const char *name, const struct net_address *remote)
{
    struct address_key from = address_key_of(remote);
    bool loopback = net_address_is_loopback(remote);
    unsigned of_all = 0, of_address = 0, of_pair = 0;
    const struct user_login_work *work;
    list_each(work, &login->works, node)
    {
        of_all++;
        bool same = loopback ? work->from_loopback
                             : bytes_equal(bytes_of(from.bytes, from.size),
                                           bytes_of(work->from.bytes, work->from.size));
        of_address += same;
        of_pair += same && strcmp(work->name, name) == 0;
    }
    return of_all < WORKS_MAX &&
           (loopback ? of_address < WORKS_LOOPBACK_MAX
                     : of_address < WORKS_PER_ADDRESS_MAX && of_pair < WORKS_PER_PAIR_MAX);
}

static struct user_login_work *work_with(struct user_login *login, const struct login_tag *tag)
{
    struct user_login_work *work;
    list_each(work, &login->works, node)
    {
        if (memcmp(&work->tag, tag, sizeof(*tag)) == 0)
            return work;
    }
    return NULL;
}

static int submit(struct user_login *login, struct user_login_work *work)
{
    bool is_slow = work->keys.scram_sha256.iterations > USER_ITERATIONS;
    return login->config.submit ? login->config.submit(login->config.owner, &work->job)
                                : job_submit(&login->lanes[is_slow].inbox, &work->job);
}

/** NULL: the threads have too much to do. */
static struct user_login_work *work_start(struct user_login *login, const struct user *user,
                                          const char *name, const struct login_tag *tag,
                                          const struct user_login_attempt *attempt)
{
    struct user_login_work *work = memory_new(struct user_login_work);
    work->login = login;
    work->tag = *tag;
    work->job = (struct job){ .work = check_password, .done = checked };
    work->from = address_key_of(&attempt->remote);
    work->from_loopback = net_address_is_loopback(&attempt->remote);
    memcpy(work->name, name, strlen(name));
    if (user) {
        work->keys = user->keys;
        memcpy(work->realm, user->realm, strlen(user->realm));
    }
    if (attempt->password.size > 0 && attempt->password.size <= sizeof(work->password)) {
        memcpy(work->password, attempt->password.data, attempt->password.size);
        work->password_size = attempt->password.size;
    }
    list_init(&work->requests);
    list_append(&login->works, &work->node);
    metric_add(&login->metrics[LOGIN_PENDING], 1);
    if (submit(login, work) == 0)
        return work;
    work_free(work);
    return NULL;
}

/** ---- attempts ---- */

static int begin(struct user_login *login, const struct user *user, const char *name,
                 const struct login_tag *tag, const struct user_login_attempt *attempt,
                 struct user_login_request *request)
{
    struct user_login_work *work = work_with(login, tag);
    if (!work && has_room(login, name, &attempt->remote))
        work = work_start(login, user, name, tag, attempt);
    if (!work)
        return refuse(login, -EBUSY, user, attempt->protocol, &attempt->remote);
    work->is_private = work->is_private || attempt->is_private;
    request->login = login;
    request->work = work;
    list_append(&work->requests, &request->node);
    return -EINPROGRESS;
}

int user_login_check(struct user_login *login, const struct user_login_attempt *attempt,
                     struct user_login_request *request, uint64_t now_us)
{
    static const struct user_keys no_keys;
    char name[USER_NAME_MAX + 1];
    size_t size;
    if (opaque_string_prepare(attempt->name, name, sizeof(name), &size) < 0)
        name[0] = '\0'; // which nobody has
    const struct user *user = find(login, name);
    request->login = NULL;
    request->remote = attempt->remote;
    request->protocol = attempt->protocol;
    list_init(&request->node);
    // before the memory is asked, which would tell quickly
    if (!login_limits_allow(&login->limits, bytes_of_text(name), &attempt->remote, now_us))
        return refuse(login, -EAGAIN, user, attempt->protocol, &attempt->remote);
    struct login_tag tag = login_cache_tag(&login->cache, user ? &user->keys : &no_keys,
                                           bytes_of_text(name), attempt->password);
    if (user && !user->disabled && login_cache_has(&login->cache, &tag, now_us)) {
        count(login, LOGIN_REMEMBERED);
        return admit(login, user, request);
    }
    return begin(login, user, name, &tag, attempt, request);
}

void user_login_cancel(struct user_login_request *request, uint64_t now_us)
{
    struct user_login *login = request->login;
    if (!login)
        return;
    login_limits_failed(&login->limits, bytes_of_text(request->work->name), &request->remote,
                        now_us);
    list_remove(&request->node);
    request->login = NULL;
}

bool user_login_allows(const struct user_login *login, const struct net_address *remote,
                       uint64_t now_us)
{
    return login_limits_allow_address(&login->limits, remote, now_us);
}

void user_login_note_failure(struct user_login *login, const struct net_address *remote,
                             uint64_t now_us)
{
    login_limits_address_failed(&login->limits, remote, now_us);
}

/** ---- life ---- */

/** One thread: five hundred logins a second, and the other cores are for media. */
static int lane_start(struct lane *lane, struct loop *loop)
{
    int result = jobs_start(1, WORKS_MAX, &lane->jobs);
    return result < 0 ? result : job_inbox_init(&lane->inbox, loop, lane->jobs);
}

int user_login_new(const struct user_login_config *config, struct user_login **ret_login)
{
    struct user_login *login = memory_new(struct user_login);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    login->config = *config;
    list_init(&login->works);
    login_cache_init(&login->cache, config->random);
    login_limits_init(&login->limits, secret);
    int result = 0;
    for (size_t i = 0; i < array_size(login->lanes) && !config->submit && result == 0; i++)
        result = lane_start(&login->lanes[i], config->loop);
    if (result < 0)
        user_login_free(login);
    else
        *ret_login = login;
    return result;
}

struct user_login *user_login_free(struct user_login *login)
{
    if (!login)
        return NULL;
    struct user_login_work *work;
    list_each(work, &login->works, node)
    {
        struct user_login_request *request;
        list_each(request, &work->requests, node)
        {
            list_remove(&request->node);
            request->login = NULL;
        }
    }
    for (size_t i = 0; i < array_size(login->lanes); i++) {
        job_inbox_done(&login->lanes[i].inbox);
        jobs_stop(login->lanes[i].jobs);
    }
    login_cache_done(&login->cache);
    free(login);
    return NULL;
}

struct metric_set user_login_metrics(const struct user_login *login)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = login->metrics,
                                .count = LOGIN_METRIC_COUNT,
                                .labels = "" };
}
