#include "rtc/metrics.h"

const struct metric_description rtc_metric_descriptions[RTC_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(RTC_METRIC_##id, __VA_ARGS__)
#include "rtc/metrics.def"
#undef METRIC
};

void rtc_metric_sets(const struct rtc_counters *counters, const char *labels,
                     struct metric_set ret_sets[RTC_METRIC_SETS])
{
    ret_sets[0] =
        (struct metric_set){ rtc_metric_descriptions, counters->values, RTC_METRIC_COUNT, labels };
    ret_sets[1] = ice_metric_set(&counters->ice, labels);
    ret_sets[2] =
        (struct metric_set){ dtls_metric_descriptions, counters->dtls, DTLS_METRIC_COUNT, labels };
    ret_sets[3] = (struct metric_set){ secure_rtp_metric_descriptions, counters->secure_rtp,
                                       SECURE_RTP_METRIC_COUNT, labels };
    ret_sets[4] =
        (struct metric_set){ sctp_metric_descriptions, counters->sctp, SCTP_METRIC_COUNT, labels };
}
