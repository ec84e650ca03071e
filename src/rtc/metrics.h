/** Counters of one thread's peer connections and of the engines below them. */
#pragma once

#include "proto/dtls/dtls.h"
#include "proto/ice/ice.h"
#include "proto/sctp/sctp.h"
#include "proto/srtp/secure_rtp.h"

enum rtc_metric {
#define METRIC(id, kind, name, labels, help) RTC_METRIC_##id,
#include "rtc/metrics.def"
#undef METRIC
    RTC_METRIC_COUNT,
};

extern const struct metric_description rtc_metric_descriptions[RTC_METRIC_COUNT];

struct rtc_counters {
    metric_value values[RTC_METRIC_COUNT];
    struct ice_metrics ice;
    metric_value dtls[DTLS_METRIC_COUNT];
    metric_value secure_rtp[SECURE_RTP_METRIC_COUNT];
    metric_value sctp[SCTP_METRIC_COUNT];
};

#define RTC_METRIC_SETS 5

/** The sets of `counters` for metric_write; `labels` outlives them. */
void rtc_metric_sets(const struct rtc_counters *counters, const char *labels,
                     struct metric_set ret_sets[RTC_METRIC_SETS]);

static inline void rtc_count(struct rtc_counters *counters, enum rtc_metric metric, uint64_t amount)
{
    metric_add(&counters->values[metric], amount);
}
