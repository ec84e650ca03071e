// An estimator whose receiver says whatever it likes. The input is a script: each command is a byte
// and its arguments. Whatever comes, the estimate stays above its floor and, without anything
// having been sent faster, below what was sent.
//
//   0 count(1) size(1) gap_ms(1)   packets are sent
//   1 size(1) control              feedback as it came
//   2 ms(2)                        time passes
//   3 kbps(2)                      so much is wanted
//   4                              a probe begins if one is wanted
#include "proto/bwe/bwe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct bwe bwe;
    uint64_t now_us;
    uint16_t sequence;
};

static void pass_time(struct run *run, uint64_t us)
{
    run->now_us += us;
    for (int i = 0; i < 4 && bwe_deadline(&run->bwe) <= run->now_us; i++)
        bwe_tick(&run->bwe, run->now_us);
}

static void send_packets(struct run *run, struct reader *reader)
{
    unsigned count = reader_u8(reader) * 4u;
    size_t packet_size = 20 + reader_u8(reader) * 5u;
    uint64_t gap_us = reader_u8(reader) * TIME_US_PER_MS;
    for (unsigned i = 0; i < count; i++) {
        bwe_sent(&run->bwe, run->now_us, run->sequence++, packet_size);
        pass_time(run, gap_us);
    }
}

static void take_feedback(struct run *run, struct reader *reader)
{
    struct bytes control = reader_bytes(reader, reader_u8(reader));
    struct twcc_feedback feedback;
    if (twcc_feedback_parse(control, &feedback) == 0)
        (void)!bwe_feedback(&run->bwe, run->now_us, &feedback);
}

static void check(const struct run *run)
{
    const struct bwe *bwe = &run->bwe;
    ensure(bwe->estimate_bps >= BWE_MIN_BPS && bwe->estimate_bps <= BWE_MAX_BPS);
    ensure(bwe->history.mask < BWE_HISTORY_MAX);
    ensure(bwe->trend.threshold >= 6 && bwe->trend.threshold <= 600);
    ensure(bwe->loss.fraction >= 0 && bwe->loss.fraction <= 1);
    ensure(bwe->loss.own >= 0 && bwe->loss.own <= 1);
    ensure(bwe->rate_control.rate_bps == bwe->rate_control.rate_bps);
    ensure(bwe_bps(bwe) == 0 || bwe_bps(bwe) == bwe->estimate_bps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(data, size);
    struct run run = { .now_us = TIME_US_PER_S, .sequence = reader_u16(&reader) };
    bwe_init(&run.bwe, run.now_us);
    while (reader_left(&reader) > 0) {
        switch (reader_u8(&reader) % 5) {
        case 0:
            send_packets(&run, &reader);
            break;
        case 1:
            take_feedback(&run, &reader);
            break;
        case 2:
            pass_time(&run, reader_u16(&reader) * TIME_US_PER_MS);
            break;
        case 3:
            bwe_set_wanted(&run.bwe, run.now_us, reader_u16(&reader) * 1000ull);
            break;
        case 4:
            bwe_probe_begin(&run.bwe.probe, run.now_us);
            break;
        }
        check(&run);
    }
    bwe_done(&run.bwe);
    return 0;
}
