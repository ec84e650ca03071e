// `roost token`: a token that admits someone, signed with this server's key.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/first_start.h"
#include "admin/options_int.h"
#include "admin/token_files.h"
#include "base/memory.h"
#include "base/time.h"
#include "crypto/public_key.h"
#include "runtime/clock.h"
#include "runtime/files.h"
#include "signal/access/token_claims.h"
#include "signal/access/token_verifier.h"

#define VALID_DEFAULT "24h"
#define KEY_FILE_MAX  (64u << 10)

static int usage(const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return CLI_EXIT_USAGE;
}

/** Copies an option's value into a grant; an absent one leaves "". */
static int take_name(const struct cli_call *call, const char *option, char out[TOKEN_NAME_SIZE])
{
    const char *value = cli_value(call, option);
    return value ? text_copy(out, TOKEN_NAME_SIZE, bytes_of_text(value)) : 0;
}

/** --publish camera,microphone: the others are denied. */
static int take_sources(const struct cli_call *call, struct token_grants *grants)
{
    const char *list = cli_value(call, "publish");
    if (!list)
        return CLI_EXIT_OK;
    struct bytes rest = bytes_of_text(list);
    grants->denials.publish = ROOM_SOURCES_ALL;
    while (rest.size > 0) {
        struct bytes name = text_trim(text_take_until(&rest, ','));
        enum room_source source;
        if (text_equal(name, "none"))
            continue;
        if (token_source_parse(name, &source) < 0)
            return usage("--publish takes camera, microphone, screen, screen_audio and other, "
                         "with commas between them, or none");
        grants->denials.publish &= (uint8_t) ~(1u << source);
    }
    return CLI_EXIT_OK;
}

static int take_expiry(const struct cli_call *call, uint64_t now_s, struct token_grants *grants)
{
    const char *valid = cli_value(call, "valid");
    uint64_t valid_us = 0;
    if (option_parse_duration(bytes_of_text(valid ? valid : VALID_DEFAULT), &valid_us) < 0 ||
        valid_us < TIME_US_PER_S)
        return usage("--valid needs a duration with its unit, such as 90m, 24h or 30d");
    grants->expires_unix_s = now_s + valid_us / TIME_US_PER_S;
    return CLI_EXIT_OK;
}

static int take_grants(const struct cli_call *call, uint64_t now_s, struct token_grants *grants)
{
    if (cli_value(call, "user") && cli_value(call, "identity"))
        return usage("--identity is another word for --user: give one of them");
    if (take_name(call, "room", grants->room) < 0 ||
        take_name(call, cli_value(call, "identity") ? "identity" : "user", grants->user) < 0 ||
        take_name(call, "name", grants->name) < 0 || take_name(call, "id", grants->id) < 0)
        return usage("names have at most 64 bytes");
    grants->admin = cli_value(call, "admin") != NULL;
    if (!*grants->room && !*grants->user && !grants->admin)
        return usage("--room, --user or --admin is needed (--room '*' admits to every room)");
    grants->moderator = cli_value(call, "moderator") != NULL;
    grants->hidden = cli_value(call, "hidden") != NULL;
    grants->record = cli_value(call, "record") != NULL;
    grants->denials.subscribe = cli_value(call, "no-subscribe") != NULL;
    grants->denials.data = cli_value(call, "no-data") != NULL;
    int result = take_sources(call, grants);
    return result == CLI_EXIT_OK ? take_expiry(call, now_s, grants) : result;
}

static int fail(const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return CLI_EXIT_FAILURE;
}

/** A token signed with a private key in a file: NULL, with the reason said. */
static char *sign_with_file(const struct cli_call *call, const struct token_grants *grants,
                            uint64_t now_s)
{
    char *text, *token = NULL;
    size_t size;
    struct private_key *key;
    if (file_read(cli_value(call, "key"), KEY_FILE_MAX, &text, &size) < 0) {
        fail("--key: the file cannot be read");
        return NULL;
    }
    if (private_key_load(bytes_of(text, size), NULL, &key) < 0) {
        fail("--key: no unencrypted PEM key of RSA (2048 bits or more), P-256 or Ed25519");
    } else {
        const struct roost_options *options = &call->options->values;
        token = token_sign(grants, key, cli_value(call, "kid"),
                           &(struct token_policy){ .issuer = options->auth.issuer,
                                                   .audience = options->auth.audience },
                           now_s);
        private_key_free(key);
    }
    memory_wipe(text, size);
    free(text);
    return token;
}

static void print_token(const struct cli_call *call, const struct token_grants *grants,
                        const char *token)
{
    printf("%s\n", token);
    const char *base = cli_value(call, "link");
    if (!base)
        return;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    // behind # it stays in the browser: no server and no proxy writes it into a log
    printf("%.*s/r/%s#token=%s\n", (int)length, base, grants->room, token);
}

static int run_make(const struct cli_call *call, struct bytes key)
{
    uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
    struct token_grants grants = { 0 };
    int result = take_grants(call, now_s, &grants);
    if (result != CLI_EXIT_OK)
        return result;
    const char *link = cli_value(call, "link");
    if (link && (!*grants.room || strchr(grants.room, '*')))
        return usage("--link needs --room with the name of one room");
    char *token = cli_value(call, "key") ? sign_with_file(call, &grants, now_s)
                                         : token_mint(&grants, key, now_s);
    if (!token)
        return CLI_EXIT_FAILURE;
    print_token(call, &grants, token);
    free(token);
    return CLI_EXIT_OK;
}

static int run_verify(const struct cli_call *call, const struct data_folder *data)
{
    struct token_keys *keys;
    struct token_grants grants;
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    const struct roost_options *options = &call->options->values;
    if (token_files_load(options, data, &keys, &problem) < 0)
        return fail(problem_text);
    uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
    const struct token_verifier verifier = {
        .own = keys,
        .policy = { .issuer = options->auth.issuer,
                    .audience = options->auth.audience,
                    .skew_s = options->auth.clock_skew_us / TIME_US_PER_S },
    };
    int result =
        token_verifier_check(&verifier, bytes_of_text(cli_value(call, "verify")), now_s, &grants);
    token_keys_free(keys);
    if (result < 0)
        return fail(token_problem(result));
    json_t *claims = token_claims_write(&grants, grants.issued_unix_s);
    char *text = json_dumps(claims, JSON_INDENT(2));
    json_decref(claims);
    ensure(text);
    printf("%s\n", text);
    free(text);
    return CLI_EXIT_OK;
}

static int run_token(const struct cli_call *call)
{
    const char *secret = call->options->values.auth.token_secret;
    struct data_folder data = { 0 };
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    if (!*secret && !cli_value(call, "key") &&
        data_folder_open(&call->options->values, &data, &problem) < 0)
        return fail(problem_text);
    struct bytes key = data_token_key(&data, &call->options->values);
    int result = cli_value(call, "verify") ? run_verify(call, &data) : run_make(call, key);
    data_folder_done(&data);
    return result;
}

static const struct cli_option options[] = {
    { "room", "NAME", "The room it admits to; * for every room." },
    { "user", "NAME", "The user name it vouches for." },
    { "name", "NAME", "The display name it fixes; without it the holder chooses." },
    { "identity", "NAME", "The same as --user." },
    { "id", "ID", "An id of the token (jti), by which it can be revoked alone." },
    { "publish", "SOURCES",
      "Only these may be published: camera,microphone,screen,screen_audio,"
      "other, or none." },
    { "no-subscribe", NULL, "The holder gets no tracks." },
    { "no-data", NULL, "The holder writes no chat and sends no data." },
    { "hidden", NULL, "The holder is shown to nobody and publishes nothing." },
    { "record", NULL, "The holder may have the room recorded." },
    { "moderator", NULL, "The holder moderates the room." },
    { "admin", NULL, "The holder may use the admin API." },
    { "valid", "DURATION", "How long it is good: 90m, 24h (default), 30d." },
    { "key", "FILE",
      "Sign with this PEM private key (RS256, ES256, EdDSA) instead of the secret." },
    { "kid", "ID", "With --key: name the key by this id." },
    { "link", "URL", "Print a link to the room at this address of the server, too." },
    { "verify", "TOKEN", "Check a token, and print what it grants." },
    { 0 },
};

const struct cli_command command_token = {
    .name = "token",
    .summary = "Print a token that admits someone to a room or as a user.",
    .arguments = "",
    .help = "Signed with auth.token_secret, or with the secret in the data folder: run it with the "
            "same configuration, and as the same user, as the server.",
    .options = options,
    .run = run_token,
};
