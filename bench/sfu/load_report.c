#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "runtime/clock.h"

#define SETTLE_US (400 * TIME_US_PER_MS)
#define DRAIN_US  (50 * TIME_US_PER_MS)

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/** Prints "name": {...} in milliseconds; sorts the values. */
static void print_times(const char *name, uint32_t *values_us, size_t count)
{
    qsort(values_us, count, sizeof(*values_us), compare);
    size_t last = count ? count - 1 : 0;
    if (count == 0)
        printf(", \"%s\": null", name);
    else
        printf(", \"%s\": {\"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name,
               values_us[last / 2] / 1e3, values_us[last * 95 / 100] / 1e3,
               values_us[last * 99 / 100] / 1e3, values_us[last] / 1e3);
}

void load_print_joins(struct load *load)
{
    struct server_usage used = server_usage_since(&load->empty, &load->full);
    uint32_t *times = load->shared.video.latencies_us;
    uint32_t joined = load->count - load->first_subscriber;
    double each = joined ? joined : 1;
    printf("{\"clients\": %u, \"memory\": %.0f, \"slab\": %.0f, \"join_cpu_us\": %.1f", load->count,
           (double)(int64_t)used.memory / each, (double)(int64_t)used.slab / each,
           (double)used.cpu_ns / 1e3 / each);
    static const struct {
        const char *name;
        size_t at;
    } moments[] = {
        { "connected", offsetof(struct media_client, connected_us) },
        { "first_packet", offsetof(struct media_client, first_packet_us) },
        { "first_picture", offsetof(struct media_client, first_picture_us) },
    };
    for (size_t moment = 0; moment < array_size(moments); moment++) {
        size_t count = 0;
        for (uint32_t i = load->first_subscriber; i < load->count; i++) {
            const struct media_client *client = load->clients[i];
            uint64_t at_us;
            memcpy(&at_us, (const char *)client + moments[moment].at, sizeof(at_us));
            if (at_us > client->started_us)
                times[count++] = (uint32_t)(at_us - client->started_us);
        }
        print_times(moments[moment].name, times, count);
    }
    printf("}\n");
    fflush(stdout);
}

void load_print_churn(const struct load *load)
{
    printf("{\"returned\": %llu}\n", (unsigned long long)load->returned);
    fflush(stdout);
}

static void count_anew(struct load *load)
{
    load->shared.video.count = load->shared.audio.count = 0;
    for (uint32_t i = 0; i < load->count; i++)
        load->clients[i]->counts = load->clients[i]->audio = (struct media_counts){ 0 };
}

static void add(struct media_counts *sum, const struct media_counts *counts)
{
    sum->packets += counts->packets;
    sum->lost += counts->lost;
    sum->bytes += counts->bytes;
}

/** The packets of the subscribers who are counted, times how many each of them stands for. */
static void extrapolate(const struct load_options *options, struct media_counts *counts)
{
    if (options->counted == 0)
        return;
    counts->packets = counts->packets * options->subscribers / options->counted;
    counts->bytes = counts->bytes * options->subscribers / options->counted;
}

void load_measure(struct load *load, uint64_t duration_us, uint32_t publishers)
{
    const struct load_options *options = &load->options;
    load_feed(load, publishers);
    load_run(load, -1, SETTLE_US);
    count_anew(load);
    load->shared.measuring = load->shared.measured = true;
    struct server_usage before = server_usage_read(options->pid, options->core);
    uint64_t start_us = clock_now_us();
    load_run(load, -1, duration_us);
    uint64_t wall_us = clock_now_us() - start_us;
    struct server_usage now = server_usage_read(options->pid, options->core);
    load->shared.measuring = false;
    struct server_usage used = server_usage_since(&before, &now);
    struct server_usage kept = server_usage_since(&load->empty, &now);
    load_feed(load, 0);
    load_run(load, -1, DRAIN_US);
    struct media_counts all = { 0 }, audio = { 0 };
    for (uint32_t i = 0; i < load->count; i++) {
        add(&all, &load->clients[i]->counts);
        add(&audio, &load->clients[i]->audio);
    }
    extrapolate(options, &all);
    double per_packet = all.packets ? 1.0 / (double)all.packets : 0;
    uint32_t joined = load->count - load->first_subscriber;
    printf("{\"us\": %.4f, \"waited\": %.4f, \"core\": %.4f, \"pps\": %.0f, \"gbps\": %.4f, "
           "\"packets\": %llu, \"lost\": %llu, \"memory\": %.0f, \"wakeups\": %llu, "
           "\"audio_packets\": %llu, \"audio_lost\": %llu",
           (double)(used.cpu_ns + used.softirq_ns) / 1e3 * per_packet,
           (double)used.waited_ns / 1e3 / (double)wall_us,
           (double)used.cpu_ns / 1e3 / (double)wall_us, (double)all.packets * 1e6 / (double)wall_us,
           (double)all.bytes * 8 / 1e3 / (double)wall_us, (unsigned long long)all.packets,
           (unsigned long long)all.lost, joined ? (double)(int64_t)kept.memory / joined : 0,
           (unsigned long long)used.wakeups, (unsigned long long)audio.packets,
           (unsigned long long)audio.lost);
    print_times("latency", load->shared.video.latencies_us, load->shared.video.count);
    print_times("audio_latency", load->shared.audio.latencies_us, load->shared.audio.count);
    printf("}\n");
    fflush(stdout);
}
