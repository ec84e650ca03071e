#include "server_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** The number behind the line's name in a file of "name: number" lines; 0 when there is none. */
static uint64_t read_line(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[512];
    uint64_t value = 0;
    size_t length = strlen(name);
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            value = strtoull(line + length + 1, NULL, 10);
            break;
        }
    }
    if (file)
        fclose(file);
    return value;
}

/** A thread's time on its core and its time waiting for it, added to the sums. */
static void add_thread(const char *path, uint64_t *sum_cpu_ns, uint64_t *sum_waited_ns)
{
    FILE *file = fopen(path, "r");
    unsigned long long cpu_ns = 0, waited_ns = 0;
    if (file) {
        (void)!fscanf(file, "%llu %llu", &cpu_ns, &waited_ns);
        fclose(file);
    }
    *sum_cpu_ns += cpu_ns;
    *sum_waited_ns += waited_ns;
}

static void add_threads(long pid, struct server_usage *usage)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%ld/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return;
    for (struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/schedstat", pid, task->d_name);
        add_thread(path, &usage->cpu_ns, &usage->waited_ns);
        snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/status", pid, task->d_name);
        usage->wakeups += read_line(path, "voluntary_ctxt_switches");
    }
    closedir(tasks);
}

/** The kernel thread that takes a core's put-off packets; 0 when it is not to be seen. */
static long find_softirq_thread(int core)
{
    char wanted[32], name[32], path[300];
    snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", core);
    DIR *processes = opendir("/proc");
    long found = 0;
    for (struct dirent *process; processes && !found && (process = readdir(processes));) {
        snprintf(path, sizeof(path), "/proc/%.20s/comm", process->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof(name), file) && strcmp(name, wanted) == 0)
            found = strtol(process->d_name, NULL, 10);
        if (file)
            fclose(file);
    }
    if (processes)
        closedir(processes);
    return found;
}

struct server_usage server_usage_read(long pid, int core)
{
    struct server_usage usage = { 0 };
    char path[64];
    uint64_t softirq_waited_ns = 0;
    add_threads(pid, &usage);
    snprintf(path, sizeof(path), "/proc/%ld/schedstat", find_softirq_thread(core));
    add_thread(path, &usage.softirq_ns, &softirq_waited_ns);
    snprintf(path, sizeof(path), "/proc/%ld/status", pid);
    usage.memory = read_line(path, "VmRSS") * 1024;
    usage.slab = read_line("/proc/meminfo", "Slab") * 1024;
    return usage;
}

struct server_usage server_usage_since(const struct server_usage *before,
                                       const struct server_usage *now)
{
    return (struct server_usage){
        .cpu_ns = now->cpu_ns - before->cpu_ns,
        .waited_ns = now->waited_ns - before->waited_ns,
        .softirq_ns = now->softirq_ns - before->softirq_ns,
        .memory = now->memory - before->memory,
        .slab = now->slab - before->slab,
        .wakeups = now->wakeups - before->wakeups,
    };
}
