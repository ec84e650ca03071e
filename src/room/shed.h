/**
 * What to leave out when a worker has more to do than its core can: when, how much, and of what.
 * The policy alone: readings and sums in, decisions out.
 *
 * Video is shed in rungs, sound never: first all pictures become as small as their publishers make
 * them, then as slow, then they stop; each of these for wishes of low priority before those of the
 * usual one, and for screens and whoever else has a higher one at last. Within a rung, who came
 * last is shed first: nobody's picture goes because somebody joined.
 *
 * Load is judged by the time that the loop has left over, and less is sent in steps until there is
 * some. More is sent again when there is plenty, and after a pause, which doubles each time that it
 * was too early: so pictures do not come and go.
 */
#pragma once

#include "base/compiler.h"

/** What a subscription gets, from everything to nothing. */
enum shed_level {
    SHED_NOTHING,
    SHED_SIZE,  /**< the smallest picture; of a screen: the lowest frame rate */
    SHED_RATE,  /**< the least that there is of it */
    SHED_VIDEO, /**< none */
};

#define SHED_CLASSES 3 /**< of priorities: low, usual, high */
#define SHED_RUNGS   (3 * SHED_CLASSES)

/** Who is shed: all rungs below `rung`, and in that one those numbered `from` and later. */
struct shed_cut {
    uint8_t rung;  /**< SHED_RUNGS: all video */
    uint64_t from; /**< UINT64_MAX: nobody of the rung */
};

#define SHED_CUT_NONE ((struct shed_cut){ .from = UINT64_MAX })

static inline bool shed_cut_is_none(const struct shed_cut *cut)
{
    return cut->rung == 0 && cut->from == UINT64_MAX;
}

/** What each rung saves, in bits per second of video. */
struct shed_sums {
    uint64_t saves_bps[SHED_RUNGS];
};

/** Running counts of a worker. */
struct shed_reading {
    uint64_t waited_us; /**< time in which its loop had nothing to do */
    uint64_t late_us;   /**< how late the loop was this time */
    uint64_t sent;      /**< datagrams */
    uint64_t refused;   /**< datagrams that the system had no room for */
};

/** Zeroed: nothing is known, and nothing shed. */
struct shed {
    uint64_t began_us; /**< of the window; 0: none yet */
    struct shed_reading began;
    uint64_t least_late_us; /**< in this window */
    uint64_t late_us;       /**< the same, in the one before */
    uint32_t readings;      /**< in this window */
    uint8_t full;           /**< windows in a row without time left, since the last change */
    uint64_t full_us;  /**< when those in a row began, changes or not; 0: there was time left */
    uint64_t grown_us; /**< when more was sent last, and */
    uint64_t cut_us;   /**< less */
    uint64_t pause_us; /**< from one to the next time that more is sent */
};

/** No change. */
#define SHED_KEEP 1000

/**
 * Takes a reading; call it often. `shedding`: something is shed now. Returns how much video shall
 * be sent, in thousandths of what is sent now: less than SHED_KEEP to shed more, more (only while
 * `shedding`) to shed less. A change is taken for made.
 */
uint32_t shed_judge(struct shed *shed, uint64_t now_us, const struct shed_reading *reading,
                    bool shedding);

/** Whether there was no time left for seconds on end, whatever was shed meanwhile. */
bool shed_is_full(const struct shed *shed, uint64_t now_us);

/** The class of a priority of media_wish. */
unsigned shed_class(uint8_t priority);
/** What a subscription of the class is left, of a receiver with this number. */
enum shed_level shed_level(const struct shed_cut *cut, unsigned class, uint64_t number);
/** The rung of the step from `level` to the next. */
static inline unsigned shed_rung(enum shed_level level, unsigned class)
{
    return (unsigned)level * SHED_CLASSES + class;
}
/**
 * The first rung that, with all below, saves `excess_bps`; what is still to be saved in it is in
 * `ret_rest_bps`. SHED_RUNGS when all together do not. 0 with a rest of 0 for an excess of 0.
 */
unsigned shed_reach(const struct shed_sums *sums, uint64_t excess_bps, uint64_t *ret_rest_bps);
