#include "proto/bwe/loss.h"

#include "base/time.h"

/** Losses above the path's own by this much press the rate down; below that share they let it up.
 */
#define LOSS_HIGH 0.10
#define LOSS_LOW  0.02
/** More than this: straight down to what arrived. */
#define LOSS_SEVERE    0.25
#define INCREASE_PER_S 0.08
/** A window has so many packets and lasts so long at least; or it is old, and its losses too. */
#define WINDOW_PACKETS 20
#define WINDOW_US      (200 * TIME_US_PER_MS)
#define WINDOW_MAX_US  (4 * TIME_US_PER_S)
/** A decrease has to reach the receiver, and what it says the sender. */
#define REACT_US (300 * TIME_US_PER_MS)
/** With this share of the rate and still this share of the losses: they are the path's own. */
#define OWN_RATE   0.7
#define OWN_LOSSES 0.7
/** The path's own losses are forgotten by this much of the difference with each better window. */
#define OWN_FORGET 0.3
/** A limit this far above the rate by delay limits nothing. */
#define LIMIT_LIFTED 1.5

void bwe_loss_count(struct bwe_loss *loss, uint64_t now_us, uint32_t received, uint32_t lost,
                    uint32_t recovered)
{
    if (loss->window_us == 0 || now_us - loss->window_us > WINDOW_MAX_US) {
        loss->window_us = now_us;
        loss->received = 0;
        loss->lost = 0;
    }
    loss->received += received;
    loss->lost += lost;
    loss->lost -= min_of(recovered, loss->lost);
}

static bool window_full(const struct bwe_loss *loss, uint64_t now_us)
{
    return loss->received + loss->lost >= WINDOW_PACKETS && now_us - loss->window_us >= WINDOW_US;
}

/** Ends the episode of losses: what they are now, they are whatever is sent. */
static void call_them_own(struct bwe_loss *loss)
{
    loss->own = loss->fraction;
    loss->limit_bps = 0;
    loss->begun_bps = 0;
}

static bool press_down(struct bwe_loss *loss, uint64_t now_us, const struct bwe_loss_input *input)
{
    if (loss->lowered_us > 0 && now_us - loss->lowered_us < REACT_US + input->round_trip_us)
        return false;
    // the losses are those of what was sent, which may be less than the rate, and more for a while
    double base_bps = input->sent_bps > 0 ? input->sent_bps : input->rate_bps;
    if (loss->begun_bps == 0) {
        loss->begun_bps = base_bps;
        loss->begun = loss->fraction;
    } else if (base_bps < OWN_RATE * loss->begun_bps && loss->fraction > OWN_LOSSES * loss->begun) {
        call_them_own(loss);
        return false;
    }
    double excess = loss->fraction - loss->own;
    double rate_bps = base_bps * (1 - excess / 2);
    if (excess > LOSS_SEVERE && input->acknowledged_bps > 0)
        rate_bps = min_of(rate_bps, input->acknowledged_bps);
    double before_bps =
        loss->limit_bps > 0 ? min_of(loss->limit_bps, input->rate_bps) : input->rate_bps;
    loss->lowered_us = now_us;
    loss->limit_bps = min_of(rate_bps, before_bps);
    return rate_bps < before_bps;
}

static void let_up(struct bwe_loss *loss, double passed_s, const struct bwe_loss_input *input)
{
    loss->begun_bps = 0;
    if (loss->limit_bps == 0)
        return;
    loss->limit_bps *= 1 + INCREASE_PER_S * passed_s;
    if (loss->limit_bps > LIMIT_LIFTED * input->rate_bps)
        loss->limit_bps = 0;
}

bool bwe_loss_update(struct bwe_loss *loss, uint64_t now_us, const struct bwe_loss_input *input)
{
    if (loss->window_us == 0 || !window_full(loss, now_us))
        return false;
    double passed_s = (double)(now_us - loss->window_us) / (double)TIME_US_PER_S;
    double last = (double)loss->lost / (loss->received + loss->lost);
    loss->fraction = min_of(last, loss->last);
    loss->last = last;
    loss->window_us = 0;
    if (loss->fraction < loss->own)
        loss->own -= OWN_FORGET * (loss->own - loss->fraction);
    double excess = loss->fraction - loss->own;
    // what is lost by chance varies by more where more is lost
    if (excess > LOSS_HIGH + loss->own / 2)
        return press_down(loss, now_us, input);
    if (excess < LOSS_LOW)
        let_up(loss, passed_s, input);
    return false;
}

void bwe_loss_lift(struct bwe_loss *loss, double rate_bps)
{
    if (loss->limit_bps > 0 && loss->limit_bps < rate_bps)
        loss->limit_bps = rate_bps;
}
