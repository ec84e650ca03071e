#include "room/layer_select.h"

#include <string.h>

static bool can_begin(const struct media_layers *layers, uint8_t current, uint8_t point)
{
    return layers->starts >> point & layers->follows >> current & 1;
}

/** Down at once where all that is left was there before. */
static uint8_t step_down(uint8_t current, uint8_t wanted, const struct media_layers *layers)
{
    unsigned spatial = media_point_spatial(current);
    if (layers->nested)
        spatial = min_of(spatial, (unsigned)media_point_spatial(wanted));
    unsigned temporal =
        min_of((unsigned)media_point_temporal(current), (unsigned)media_point_temporal(wanted));
    return media_point(spatial, temporal);
}

uint8_t layer_select_rate(uint8_t current, uint8_t wanted, const struct media_layers *layers)
{
    unsigned spatial = media_point_spatial(current);
    unsigned temporal = media_point_temporal(current);
    for (unsigned to = media_point_temporal(wanted); to > temporal; to--) {
        if (can_begin(layers, current, media_point(spatial, to)))
            return media_point(spatial, to);
    }
    return current;
}

uint8_t layer_select(uint8_t current, uint8_t wanted, const struct media_layers *layers)
{
    current = step_down(current, wanted, layers);
    if (current == wanted || can_begin(layers, current, wanted))
        return wanted;
    // not the size that is wanted, but perhaps the frame rate
    current = layer_select_rate(current, wanted, layers);
    unsigned spatial = media_point_spatial(current);
    unsigned temporal = media_point_temporal(current);
    if (layers->up_to > temporal && layers->up_from <= temporal)
        temporal = max_of(temporal,
                          min_of((unsigned)layers->up_to, (unsigned)media_point_temporal(wanted)));
    return media_point(spatial, temporal);
}

uint8_t layer_select_first(uint8_t wanted, const struct media_layers *layers)
{
    for (int point = wanted; point >= 0; point--) {
        if (layers->starts >> point & 1)
            return (uint8_t)point;
    }
    return wanted;
}

void layer_moves_begin(struct layer_moves *moves, uint64_t sequence, uint8_t point)
{
    *moves = (struct layer_moves){ .began = sequence, .since = sequence, .point = point };
    memset(moves->points, point, sizeof(moves->points));
}

void layer_moves_to(struct layer_moves *moves, uint64_t sequence, uint8_t point)
{
    memmove(moves->points + 1, moves->points, sizeof(moves->points) - sizeof(moves->points[0]));
    memmove(moves->sinces + 1, moves->sinces, sizeof(moves->sinces) - sizeof(moves->sinces[0]));
    moves->points[0] = moves->point;
    moves->sinces[0] = moves->since;
    moves->since = sequence;
    moves->point = point;
}

uint8_t layer_moves_before(const struct layer_moves *moves, uint64_t sequence)
{
    int age = 0;
    while (age + 1 < LAYER_MOVES && sequence < moves->sinces[age])
        age++;
    return moves->points[age];
}
