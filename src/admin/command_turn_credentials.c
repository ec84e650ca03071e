// `roost turn-credentials`: a time-limited credential, for a test or for a program of one's own.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/commands.h"
#include "admin/options_int.h"
#include "admin/turn_config.h"
#include "admin/turn_ticket_text.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"

static int complain(int exit, const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return exit;
}

/** --host, what the configuration says, or the address that others reach. */
static void find_host(const struct cli_call *call, const struct turn_offer *offer,
                      char out[TURN_HOST_SIZE])
{
    const struct roost_options *options = &call->options->values;
    const char *given = cli_value(call, "host");
    out[0] = '\0';
    if (given) {
        turn_host_write(given, out);
    } else if (!*offer->host) {
        struct turn_relay_address relays[TURN_RELAY_ADDRESSES_MAX];
        turn_config_relays(options, &options->media.external_address, relays);
        turn_address_host(&relays[0].told, out);
    }
}

static void print_urls(const struct turn_ticket *ticket)
{
    const char *label = "urls";
    for (size_t i = 0; i < ticket->url_count; i++, label = "")
        printf("%-10s  %s\n", label, ticket->urls[i]);
    if (ticket->stun_url)
        printf("%-10s  %s\n", label, ticket->stun_url);
}

static void print_ticket(const struct turn_ticket *ticket, const struct json_text *json)
{
    char expires[40] = "";
    time_t when = (time_t)ticket->expires_unix_s;
    struct tm parts;
    if (gmtime_r(&when, &parts))
        strftime(expires, sizeof(expires), "%Y-%m-%d %H:%M:%S UTC", &parts);
    printf("username    %s\npassword    %s\nexpires     %s\n", ticket->username, ticket->password,
           expires);
    print_urls(ticket);
    printf("\nFor new RTCPeerConnection(...):\n%.*s\n", (int)json->size, json->data);
}

static int take_lifetime(const struct cli_call *call, struct turn_offer *offer)
{
    const char *text = cli_value(call, "lifetime");
    uint64_t lifetime_us = 0;
    if (!text)
        return CLI_EXIT_OK;
    if (option_parse_duration(bytes_of_text(text), &lifetime_us) < 0 ||
        lifetime_us < TIME_US_PER_S || lifetime_us / TIME_US_PER_S > UINT32_MAX)
        return complain(CLI_EXIT_USAGE,
                        "--lifetime needs a duration with its unit, such as 90m, 12h or 30d");
    offer->lifetime_s = (uint32_t)(lifetime_us / TIME_US_PER_S);
    return CLI_EXIT_OK;
}

static int issue(const struct cli_call *call, const struct data_folder *data)
{
    struct turn_config_host named;
    struct turn_offer offer = turn_config_offer(&call->options->values, data, &named);
    int exit = take_lifetime(call, &offer);
    if (exit != CLI_EXIT_OK)
        return exit;
    char host[TURN_HOST_SIZE];
    find_host(call, &offer, host);
    if (cli_value(call, "host"))
        offer.host = "";
    const char *user = cli_value(call, "user");
    struct turn_ticket ticket;
    if (turn_ticket_issue(&offer, host, bytes_of_text(user ? user : ""),
                          clock_unix_us() / TIME_US_PER_S, &ticket) < 0)
        return complain(CLI_EXIT_USAGE, "--host is a name or an address, --user a text of at most "
                                        "255 bytes without control characters");
    if (ticket.url_count == 0)
        fprintf(stderr, "roost: the configuration leaves the ports to the system (0), so there are "
                        "no URLs\n");
    struct json_text json;
    json_text_init(&json);
    turn_ticket_write(&ticket, &json);
    if (cli_value(call, "json"))
        printf("%.*s\n", (int)json.size, json.data);
    else
        print_ticket(&ticket, &json);
    json_text_done(&json);
    memory_wipe(&ticket, sizeof(ticket));
    return CLI_EXIT_OK;
}

static int run_turn_credentials(const struct cli_call *call)
{
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    struct data_folder data = { 0 };
    if (data_folder_open(&call->options->values, &data, &problem) < 0)
        return complain(CLI_EXIT_FAILURE, problem_text);
    int exit = issue(call, &data);
    data_folder_done(&data);
    return exit;
}

static const struct cli_option options[] = {
    { "user", "NAME", "For whom: quotas, logs and the admin API count by it." },
    { "lifetime", "DURATION", "How long it is good: 90m, 12h, 30d (turn.credential_lifetime)." },
    { "host", "HOST", "Name or address in the URLs (turn.public_host, http.names)." },
    { "json", NULL, "Print one line of JSON, as /api/v1/turn answers." },
    { 0 },
};

const struct cli_command command_turn_credentials = {
    .name = "turn-credentials",
    .summary = "Print a time-limited TURN credential with its URLs.",
    .arguments = "",
    .help = "Signed with the first of turn.secrets, or with the secret in the data folder: run it "
            "with the same configuration, and as the same user, as the server.",
    .options = options,
    .run = run_turn_credentials,
};
