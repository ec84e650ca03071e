// Tokens of the process: keys of the configuration, and what was revoked.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account_token.h"
#include "admin/serve_int.h"
#include "admin/token_files.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/files.h"

#define REVOCATIONS_SIZE_MAX (32u << 20)

static void set_policy(struct serve *serve)
{
    serve->tokens.policy = (struct token_policy){
        .issuer = serve->options->auth.issuer,
        .audience = serve->options->auth.audience,
        .skew_s = serve->options->auth.clock_skew_us / TIME_US_PER_S,
    };
}

static int revocations_path(const struct serve *serve, char *out, size_t capacity)
{
    return file_join(out, capacity, serve->data.path, DATA_FILE_REVOCATIONS);
}

/** A file that cannot be read must not let in those whom it names: the start fails. */
static int load_revocations(struct serve *serve)
{
    char path[4096];
    char *text;
    size_t size;
    int result = revocations_path(serve, path, sizeof(path));
    if (result == 0)
        result = file_read(path, REVOCATIONS_SIZE_MAX, &text, &size);
    if (result == -ENOENT)
        return 0;
    if (result == 0) {
        json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        result = token_revocations_read(&serve->tokens.revocations, json);
        json_decref(json);
        free(text);
    }
    if (result < 0)
        text_append_format(&serve->problem, "cannot read the revoked tokens in %s: %s", path,
                           strerror(-result));
    return result;
}

static bool stands(void *owner, const struct token_grants *grants)
{
    const struct serve *serve = owner;
    return account_token_stands(serve->users ? user_watch_users(serve->users) : NULL,
                                data_token_key(&serve->data, serve->options), grants);
}

int serve_tokens_start(struct serve *serve)
{
    uint64_t secret[2];
    serve->tokens.stands = stands;
    serve->tokens.stands_owner = serve;
    random_fill(&serve->entropy.random, secret, sizeof(secret));
    token_revocations_init(&serve->tokens.revocations, secret);
    set_policy(serve);
    int result =
        token_files_load(serve->options, &serve->data, &serve->tokens.own, &serve->problem);
    return result < 0 ? result : load_revocations(serve);
}

void serve_tokens_stop(struct serve *serve)
{
    serve->tokens.own = token_keys_free(serve->tokens.own);
    serve->tokens.remote = token_keys_free(serve->tokens.remote);
    token_revocations_done(&serve->tokens.revocations);
}

void serve_tokens_reload(struct serve *serve)
{
    struct token_keys *keys = NULL;
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    set_policy(serve);
    if (token_files_load(serve->options, &serve->data, &keys, &serve->problem) < 0) {
        log_warning(&serve->log, "keys of tokens not loaded, the old ones stay in use",
                    log_text("problem", serve->problem_text));
        return;
    }
    token_keys_free(serve->tokens.own);
    serve->tokens.own = keys;
}

int serve_tokens_save(struct serve *serve)
{
    char path[4096];
    int result = revocations_path(serve, path, sizeof(path));
    if (result < 0)
        return result;
    json_t *json = token_revocations_write(&serve->tokens.revocations);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    ensure(text);
    result = file_write_atomic(path, bytes_of_text(text), 0600);
    free(text);
    return result;
}
