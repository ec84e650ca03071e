// Whether a worker has time for all that it does: read from its loop and its socket, judged by the
// exchange (room/shed.h), told to the log.
#include "base/memory.h"
#include "server/media_worker_int.h"

/** What to do about it, for whoever reads the log. */
static void log_shedding(const struct media_worker *worker)
{
    if (exchange_sheds(worker->exchange) == SHED_NOTHING)
        log_info(&worker->log, "all video is sent again",
                 log_number("worker", worker->worker->index));
    else
        log_warning(
            &worker->log,
            "this core has more to send than it can: video is left out, sound goes on. Give "
            "the server more cores (server.workers), or let fewer or smaller videos be sent",
            log_number("worker", worker->worker->index));
}

void media_load_judge(struct media_worker *worker, uint64_t now_us)
{
    const struct loop *loop = &worker->worker->loop;
    const metric_value *counts = loop->metrics.values;
    struct shed_reading reading = {
        .waited_us = loop_waited_us(loop),
        .late_us = now_us - min_of(worker->tick_due_us, now_us),
        .sent = metric_get(&counts[RUNTIME_UDP_SENT]),
        .refused = metric_get(&counts[RUNTIME_UDP_SEND_BUSY]) +
                   metric_get(&counts[RUNTIME_UDP_SEND_NO_BUFFERS]),
    };
    bool full = exchange_is_full(worker->exchange);
    if (exchange_load(worker->exchange, now_us, &reading))
        log_shedding(worker);
    if (exchange_is_full(worker->exchange) != full)
        atomic_fetch_add(&worker->shared->full, full ? UINT32_MAX : 1);
}
