#include "base/log.h"

#include <stdatomic.h>

#include "base/time.h"

void log_rate_init(struct log_rate *rate, uint32_t burst, uint32_t per_second)
{
    *rate = (struct log_rate){ .burst = burst, .per_second = per_second };
}

/** Whether `message` may be written now; adds what was suppressed before to `ret_suppressed`. */
static bool rate_allows(struct log_rate *rate, const char *message, uint32_t *ret_suppressed)
{
    size_t index = ((uintptr_t)message >> 3) % LOG_RATE_SLOTS;
    typeof(rate->slots[0]) *slot = &rate->slots[index];
    if (slot->message != message) {
        slot->message = message;
        slot->tokens = rate->burst;
        slot->suppressed = 0;
        slot->refilled_us = rate->now_us;
    }
    uint64_t refill = (rate->now_us - slot->refilled_us) * rate->per_second / TIME_US_PER_S;
    if (refill > 0) {
        slot->tokens = (uint32_t)min_of(slot->tokens + refill, (uint64_t)rate->burst);
        slot->refilled_us = rate->now_us;
    }
    if (slot->tokens == 0) {
        slot->suppressed++;
        return false;
    }
    slot->tokens--;
    *ret_suppressed = slot->suppressed;
    slot->suppressed = 0;
    return true;
}

void log_emit(const struct log *log, enum log_level level, const char *message,
              const struct log_field *fields)
{
    if (!log || !log->sink ||
        (int)level < atomic_load_explicit(&log->sink->level, memory_order_relaxed))
        return;
    uint32_t suppressed = 0;
    if (log->rate && !rate_allows(log->rate, message, &suppressed))
        return;
    struct log_record record = {
        .level = level,
        .domain = log->domain,
        .message = message,
        .fields = fields,
        .suppressed = suppressed,
    };
    log->sink->write(log->sink, &record);
}
