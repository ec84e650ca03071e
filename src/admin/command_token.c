// `roost token`: a token that admits someone, signed with this server's key.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/first_start.h"
#include "admin/options_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signal/token.h"

#define VALID_DEFAULT "24h"

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

static int take_grants(const struct cli_call *call, uint64_t now_s, struct token_grants *grants)
{
    if (take_name(call, "room", grants->room) < 0 || take_name(call, "user", grants->user) < 0 ||
        take_name(call, "name", grants->name) < 0)
        return usage("names have at most 64 bytes");
    grants->admin = cli_value(call, "admin") != NULL;
    if (!*grants->room && !*grants->user && !grants->admin)
        return usage("--room, --user or --admin is needed (--room '*' admits to every room)");
    const char *valid = cli_value(call, "valid");
    uint64_t valid_us = 0;
    if (option_parse_duration(bytes_of_text(valid ? valid : VALID_DEFAULT), &valid_us) < 0 ||
        valid_us < TIME_US_PER_S)
        return usage("--valid needs a duration with its unit, such as 90m, 24h or 30d");
    grants->expires_unix_s = now_s + valid_us / TIME_US_PER_S;
    grants->moderator = cli_value(call, "moderator") != NULL;
    return CLI_EXIT_OK;
}

static int run_token(const struct cli_call *call)
{
    uint64_t now_s = clock_unix_us() / TIME_US_PER_S;
    struct token_grants grants = { 0 };
    int result = take_grants(call, now_s, &grants);
    if (result != CLI_EXIT_OK)
        return result;
    const char *secret = call->options->values.auth.token_secret;
    struct data_folder data = { 0 };
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    if (!*secret && data_folder_open(&call->options->values, &data, &problem) < 0) {
        fprintf(stderr, "roost: %s\n", problem_text);
        return CLI_EXIT_FAILURE;
    }
    struct bytes key =
        *secret ? bytes_of_text(secret) : bytes_of(data.token_secret, sizeof(data.token_secret));
    char *token = token_mint(&grants, key, now_s);
    printf("%s\n", token);
    free(token);
    data_folder_done(&data);
    return CLI_EXIT_OK;
}

static const struct cli_option options[] = {
    { "room", "NAME", "The room it admits to; * for every room." },
    { "user", "NAME", "The user name it vouches for." },
    { "name", "NAME", "The display name it fixes; without it the holder chooses." },
    { "moderator", NULL, "The holder moderates the room." },
    { "admin", NULL, "The holder may use the admin API." },
    { "valid", "DURATION", "How long it is good: 90m, 24h (default), 30d." },
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
