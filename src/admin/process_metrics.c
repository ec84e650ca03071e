#include "admin/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/time.h"

static const struct metric_description descriptions[] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/process_metrics.def"
#undef METRIC
};

void process_metrics_init(struct process_metrics *metrics, uint64_t now_us)
{
    *metrics = (struct process_metrics){ .started_us = now_us };
    metric_set(&metrics->values[PROCESS_BUILD], 1);
}

static uint64_t microseconds_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * TIME_US_PER_S + (uint64_t)time.tv_usec;
}

static void update_cpu(struct process_metrics *metrics)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return;
    metric_set(&metrics->values[PROCESS_CPU_USER], microseconds_of(usage.ru_utime));
    metric_set(&metrics->values[PROCESS_CPU_SYSTEM], microseconds_of(usage.ru_stime));
}

static void update_memory(struct process_metrics *metrics)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return;
    // "total resident ...", in pages
    char line[128], *rest = NULL;
    if (fgets(line, sizeof(line), file)) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        metric_set(&metrics->values[PROCESS_VIRTUAL], strtoull(line, &rest, 10) * page);
        metric_set(&metrics->values[PROCESS_RESIDENT], strtoull(rest, NULL, 10) * page);
    }
    fclose(file);
}

/** Entries of a folder of /proc, or 0. */
static uint64_t count_entries(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    uint64_t count = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void update_counts(struct process_metrics *metrics)
{
    uint64_t open_files = count_entries("/proc/self/fd");
    // the folder itself was one of them
    metric_set(&metrics->values[PROCESS_OPEN_FILES], open_files > 0 ? open_files - 1 : 0);
    metric_set(&metrics->values[PROCESS_THREADS], count_entries("/proc/self/task"));
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_set(&metrics->values[PROCESS_MAX_FILES], limit.rlim_cur);
}

void process_metrics_update(struct process_metrics *metrics, uint64_t now_us)
{
    uint64_t uptime_us = now_us > metrics->started_us ? now_us - metrics->started_us : 0;
    metric_set(&metrics->values[PROCESS_UPTIME], uptime_us / TIME_US_PER_S);
    update_cpu(metrics);
    update_memory(metrics);
    update_counts(metrics);
}

struct metric_set process_metrics_set(const struct process_metrics *metrics)
{
    return (struct metric_set){
        .descriptions = descriptions,
        .values = metrics->values,
        .count = PROCESS_METRIC_COUNT,
        .labels = "",
    };
}
