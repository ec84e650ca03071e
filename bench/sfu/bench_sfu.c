// links: room proto/ws proto/http runtime
// libraries: jansson
// The load generator for media servers: joins a room with publishers, subscribers or participants,
// prints how that went, then measures, or lets clients come and go, as its standard input asks.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"
#include "runtime/entropy.h"

static const struct signaling_kind *const kinds[] = { &signaling_native, &signaling_whip,
                                                      &signaling_videoroom, &signaling_streaming };

enum {
    OPTION_SERVER = 1,
    OPTION_ADDRESS,
    OPTION_KIND,
    OPTION_PID,
    OPTION_CORE,
    OPTION_RTP_PORT,
    OPTION_PUBLISHERS,
    OPTION_SUBSCRIBERS,
    OPTION_COUNTED,
    OPTION_SINK,
    OPTION_PARTICIPANTS,
    OPTION_BURST,
    OPTION_PAYLOAD,
    OPTION_LARGE,
};

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_sfu --server IP:PORT [--kind native|whip|videoroom|streaming]\n"
            "                 [--address IP] [--pid PID] [--core N] [--rtp-port PORT]\n"
            "                 [--publishers N] [--subscribers N] [--participants N]\n"
            "                 [--counted N --sink IP]\n"
            "                 [--video] [--audio] [--simulcast] [--burst PACKETS]\n"
            "                 [--payload BYTES] [--large N] [--live] [--decrypt] [--stamps]\n"
            "                 [--data]\n"
            "Reads from standard input, and ends with it: \"measure MILLISECONDS\", where only\n"
            "the first so many publish: \"measure MILLISECONDS PUBLISHERS\", and\n"
            "\"churn MILLISECONDS 0|1\" (1: some leave without a word).\n");
    return 2;
}

static bool take_kind(struct load_options *options, const char *name)
{
    for (size_t i = 0; i < array_size(kinds); i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            options->kind = kinds[i];
    }
    return options->kind != NULL;
}

static bool take_address(const char *value, struct net_address *ret_address)
{
    char text[64];
    snprintf(text, sizeof(text), "%s:0", value);
    return net_address_parse(text, ret_address) == 0;
}

static bool take_option(struct load_options *options, int option, const char *value)
{
    uint32_t number = value ? (uint32_t)strtoul(value, NULL, 10) : 0;
    switch (option) {
    case OPTION_SERVER:
        return net_address_parse(value, &options->server) == 0;
    case OPTION_ADDRESS:
        return take_address(value, &options->address);
    case OPTION_SINK:
        return take_address(value, &options->sink);
    case OPTION_COUNTED:
        options->counted = number;
        return true;
    case OPTION_KIND:
        options->kind = NULL;
        return take_kind(options, value);
    case OPTION_PID:
        options->pid = (long)number;
        return true;
    case OPTION_CORE:
        options->core = (int)number;
        return true;
    case OPTION_RTP_PORT:
        options->rtp_port = (uint16_t)number;
        return true;
    case OPTION_PUBLISHERS:
        options->publishers = number;
        return true;
    case OPTION_SUBSCRIBERS:
        options->subscribers = number;
        return true;
    case OPTION_PARTICIPANTS:
        options->participants = number;
        return true;
    case OPTION_BURST:
        options->burst = (uint16_t)number;
        return true;
    case OPTION_PAYLOAD:
        options->payload_size = (uint16_t)number;
        return number >= 20 && number <= 1400;
    case OPTION_LARGE:
        options->large = number;
        return true;
    default:
        return option == 0; // a flag, set by getopt_long
    }
}

static bool parse(int argc, char **argv, struct load_options *options)
{
    int video = 0, audio = 0, simulcast = 0, live = 0, decrypts = 0, stamps = 0, data = 0;
    const struct option table[] = {
        { "server", required_argument, NULL, OPTION_SERVER },
        { "address", required_argument, NULL, OPTION_ADDRESS },
        { "kind", required_argument, NULL, OPTION_KIND },
        { "pid", required_argument, NULL, OPTION_PID },
        { "core", required_argument, NULL, OPTION_CORE },
        { "rtp-port", required_argument, NULL, OPTION_RTP_PORT },
        { "publishers", required_argument, NULL, OPTION_PUBLISHERS },
        { "subscribers", required_argument, NULL, OPTION_SUBSCRIBERS },
        { "counted", required_argument, NULL, OPTION_COUNTED },
        { "sink", required_argument, NULL, OPTION_SINK },
        { "participants", required_argument, NULL, OPTION_PARTICIPANTS },
        { "burst", required_argument, NULL, OPTION_BURST },
        { "payload", required_argument, NULL, OPTION_PAYLOAD },
        { "large", required_argument, NULL, OPTION_LARGE },
        { "video", no_argument, &video, 1 },
        { "audio", no_argument, &audio, 1 },
        { "simulcast", no_argument, &simulcast, 1 },
        { "live", no_argument, &live, 1 },
        { "decrypt", no_argument, &decrypts, 1 },
        { "stamps", no_argument, &stamps, 1 },
        { "data", no_argument, &data, 1 },
        { 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (!take_option(options, option, optarg))
            return false;
    }
    options->video = video;
    options->audio = audio;
    options->simulcast = simulcast;
    options->live = live;
    options->decrypts = decrypts || live;
    options->stamps = stamps;
    options->data = data;
    uint32_t sections = options->publishers + options->participants;
    return options->server.port != 0 && options->burst > 0 && (video || audio) && sections > 0 &&
           sections <= MEDIA_SECTIONS / 2;
}

/** A socket and a connection for each client. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void obey(struct load *load)
{
    char line[64];
    for (;;) {
        load_run(load, STDIN_FILENO, UINT64_MAX / 2);
        ssize_t size = read(STDIN_FILENO, line, sizeof(line) - 1);
        if (size <= 0)
            return;
        line[size] = '\0';
        unsigned ms, abrupt, publishers = UINT32_MAX;
        if (sscanf(line, "measure %u %u", &ms, &publishers) >= 1) {
            load_measure(load, time_from_ms(ms), publishers);
        } else if (sscanf(line, "churn %u %u", &ms, &abrupt) == 2) {
            if (!load_churn(load, time_from_ms(ms), abrupt))
                return;
            load_print_churn(load);
        } else {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    struct load_options options = { .kind = &signaling_native,
                                    .address = net_address_ipv4(127, 0, 0, 1, 0),
                                    .burst = 9,
                                    .payload_size = 1160,
                                    .large = 1 };
    if (!parse(argc, argv, &options))
        return usage();
    raise_file_limit();
    struct entropy entropy;
    entropy_init(&entropy);
    struct load load;
    load_init(&load, &options, &entropy.random);
    bool joined = load_join(&load);
    if (joined) {
        load_print_joins(&load);
        obey(&load);
    }
    load_done(&load);
    return joined ? 0 : 1;
}
