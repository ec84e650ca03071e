#include "room/shed.h"

#include "base/time.h"
#include "room/wish.h"

/** From one judgement to the next, at least. */
#define WINDOW_US (200 * TIME_US_PER_MS)
/** Thousandths of the time that the loop is busy: too much, the aim, and plenty of room. */
#define BUSY_FULL  950
#define BUSY_AIM   875
#define BUSY_ROOMY 800
/** So many full windows in a row count: one may be a burst of joins. */
#define FULL_WINDOWS 2
/** Everybody who comes back after a restart may fill more of them with handshakes, not so many. */
#define FULL_US (5 * TIME_US_PER_S)
/**
 * A loop that is so late sheds more at once, and does not wait for a second window when it was late
 * more than once: one reading may be a moment in which the system gave the core to others.
 */
#define LATE_US       (50 * TIME_US_PER_MS)
#define VERY_LATE_US  (200 * TIME_US_PER_MS)
#define LATE_READINGS 2
/** Of what is sent, in thousandths, that which is kept. */
#define KEEP_FULL      900
#define KEEP_LATE      750
#define KEEP_VERY_LATE 600
/** The most that comes back at a time. */
#define GROW_MAX 1125
/** One datagram in so many that the system refuses is too many. */
#define REFUSED_SHARE 100
#define PAUSE_MIN_US  (2 * TIME_US_PER_S)
#define PAUSE_MAX_US  (64 * TIME_US_PER_S)
/** Less this soon after more: that was too early. */
#define MISTAKE_US (10 * TIME_US_PER_S)

static uint32_t cut(struct shed *shed, uint64_t now_us, uint32_t keep)
{
    bool mistake = shed->grown_us > 0 && now_us - shed->grown_us < MISTAKE_US;
    shed->pause_us = mistake ? min_of(max_of(shed->pause_us * 2, PAUSE_MIN_US), PAUSE_MAX_US)
                             : max_of(shed->pause_us, PAUSE_MIN_US);
    shed->grown_us = 0;
    shed->cut_us = now_us;
    shed->full = 0;
    return keep;
}

static uint32_t grow(struct shed *shed, uint64_t now_us, uint32_t busy)
{
    if (now_us - max_of(shed->cut_us, shed->grown_us) < shed->pause_us)
        return SHED_KEEP;
    // the last time that more was sent went well
    if (shed->grown_us > 0 && now_us - shed->grown_us >= MISTAKE_US)
        shed->pause_us = max_of(shed->pause_us / 2, PAUSE_MIN_US);
    shed->grown_us = now_us;
    return min_of(SHED_KEEP * BUSY_AIM / max_of(busy, 1u), (uint32_t)GROW_MAX);
}

/** Whether what has piled up is worked off soon: a second of it in four. */
static bool catches_up(uint64_t late_before_us, uint64_t late_us, uint64_t passed_us)
{
    return late_us + passed_us / 4 <= late_before_us;
}

/** What a window says. `busy`: thousandths of the time; `late_us`: the least in it. */
static uint32_t judge(struct shed *shed, uint64_t now_us, uint32_t busy, uint64_t late_us,
                      bool refused, bool shedding)
{
    bool better = catches_up(shed->late_us, late_us, now_us - shed->began_us);
    shed->late_us = late_us;
    if (busy < BUSY_FULL && !refused) {
        shed->full = 0;
        shed->full_us = 0;
        return shedding && busy <= BUSY_ROOMY ? grow(shed, now_us, busy) : SHED_KEEP;
    }
    if (shed->full_us == 0)
        shed->full_us = shed->began_us;
    bool late = late_us >= LATE_US;
    if (late && better)
        return SHED_KEEP;
    if (++shed->full < FULL_WINDOWS && !(late && shed->readings >= LATE_READINGS))
        return SHED_KEEP;
    return cut(shed, now_us,
               late_us >= VERY_LATE_US ? KEEP_VERY_LATE
               : late                  ? KEEP_LATE
                                       : KEEP_FULL);
}

uint32_t shed_judge(struct shed *shed, uint64_t now_us, const struct shed_reading *reading,
                    bool shedding)
{
    uint64_t passed_us = now_us - shed->began_us;
    bool first = shed->began_us == 0;
    shed->least_late_us = min_of(shed->least_late_us, reading->late_us);
    shed->readings++;
    if (!first && passed_us < WINDOW_US)
        return SHED_KEEP;
    uint32_t keep = SHED_KEEP;
    if (!first) {
        uint64_t waited_us = min_of(reading->waited_us - shed->began.waited_us, passed_us);
        uint32_t busy = (uint32_t)((passed_us - waited_us) * 1000 / passed_us);
        uint64_t refused = reading->refused - shed->began.refused;
        uint64_t sent = reading->sent - shed->began.sent;
        keep = judge(shed, now_us, busy, shed->least_late_us,
                     refused * REFUSED_SHARE > sent + refused, shedding);
    }
    shed->began_us = now_us;
    shed->began = *reading;
    shed->least_late_us = UINT64_MAX;
    shed->readings = 0;
    return keep;
}

bool shed_is_full(const struct shed *shed, uint64_t now_us)
{
    return shed->full_us != 0 && now_us - shed->full_us >= FULL_US;
}

unsigned shed_class(uint8_t priority)
{
    return priority < MEDIA_WISH_PRIORITY ? 0 : priority == MEDIA_WISH_PRIORITY ? 1 : 2;
}

enum shed_level shed_level(const struct shed_cut *cut, unsigned class, uint64_t number)
{
    enum shed_level level = SHED_NOTHING;
    while (level < SHED_VIDEO) {
        unsigned rung = shed_rung(level, class);
        if (rung > cut->rung || (rung == cut->rung && number < cut->from))
            break;
        level++;
    }
    return level;
}

unsigned shed_reach(const struct shed_sums *sums, uint64_t excess_bps, uint64_t *ret_rest_bps)
{
    unsigned rung = 0;
    while (rung < SHED_RUNGS && excess_bps > sums->saves_bps[rung])
        excess_bps -= sums->saves_bps[rung++];
    *ret_rest_bps = rung < SHED_RUNGS ? excess_bps : 0;
    return rung;
}
