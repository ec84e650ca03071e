#include "room/ladder.h"

/** A place is filled well enough by 3/4 of its pixels: the next layer has four times as many. */
#define ENOUGH_PARTS 3
#define ENOUGH_OF    4
/** What a best layer of unknown size is taken for. */
#define PIXELS_GUESS (1280 * 720)

enum { ROWS = 3, COLUMNS = MEDIA_TEMPORAL_LAYERS, TOP_COLUMN = COLUMNS - 1 };

static uint8_t step_of(const struct media_wish *wish, unsigned row, unsigned column)
{
    return (uint8_t)(wish->detail ? column * ROWS + row : row * COLUMNS + column);
}

/** Of fewer temporal layers than columns, the lower columns stay empty. */
static unsigned first_column(const struct track_layer *layer, uint64_t now_us)
{
    return COLUMNS - (unsigned)layer_rates_columns(&layer->rates, now_us);
}

/** The top column is everything that there is. */
static uint8_t point_of(const struct track *track, uint64_t now_us, uint8_t row, unsigned column,
                        unsigned first)
{
    unsigned temporal = column == TOP_COLUMN || column < first ? TOP_COLUMN : column - first;
    return media_point(media_point_spatial(track_row_point(track, now_us, row)), temporal);
}

/** Of simulcast layers: the largest that was ever sent, though it may rest now. */
static uint8_t largest_layer(const struct track *track)
{
    uint8_t best = ROWS - 1;
    while (best > 0 && track->layers[best].last_packet_us == 0)
        best--;
    return best;
}

/**
 * Width times height. Where it is not known, each row has half the sides of the next, up to the
 * largest, which need not be sent now.
 */
static uint64_t pixels_of(const struct track *track, uint64_t now_us, uint8_t row, uint8_t best)
{
    uint16_t width, height;
    track_row_size(track, now_us, row, &width, &height);
    if (width > 0)
        return (uint64_t)width * height;
    if (track->simulcast) {
        best = largest_layer(track);
        width = track->layers[best].width;
        height = track->layers[best].height;
    } else {
        track_row_size(track, now_us, best, &width, &height);
    }
    uint64_t pixels = width > 0 ? (uint64_t)width * height : PIXELS_GUESS;
    return pixels >> (2 * (best - row));
}

/** Whether a picture is large enough for its place. */
static bool fills(uint64_t pixels, const struct media_wish *wish)
{
    return pixels * ENOUGH_OF >= (uint64_t)wish->width * wish->height * ENOUGH_PARTS;
}

/** The smallest row that fills the place; the largest there is, where none does. */
static uint8_t wanted_row(const struct track *track, uint64_t now_us, const struct media_wish *wish,
                          uint8_t best)
{
    bool any = wish->width == 0 || wish->height == 0;
    for (uint8_t row = 0; !any && row < best; row++) {
        if (track_row(track, now_us, row) && fills(pixels_of(track, now_us, row, best), wish))
            return row;
    }
    return best;
}

/** The lowest column with frames enough. */
static unsigned wanted_column(const struct track_layer *layer, uint64_t now_us,
                              const struct media_wish *wish)
{
    unsigned first = first_column(layer, now_us);
    for (unsigned column = first; wish->frame_rate > 0 && column < TOP_COLUMN; column++) {
        if (layer->rates.picture_rate_mhz[column - first] * (uint64_t)ENOUGH_OF >=
            wish->frame_rate * 1000ull * ENOUGH_PARTS)
            return column;
    }
    return TOP_COLUMN;
}

/** The best row that comes into question; -1 when nothing is sent. */
static int best_row(const struct track *track, uint64_t now_us, const struct media_wish *wish,
                    int *ret_lowest)
{
    int best = -1;
    *ret_lowest = -1;
    for (uint8_t row = 0; row < ROWS; row++) {
        // where no smaller one is sent, the smallest that is sent will have to do
        bool meant = wish->layers == 0 || row < wish->layers || best < 0;
        if (!meant || !track_row(track, now_us, row))
            continue;
        best = row;
        *ret_lowest = *ret_lowest < 0 ? row : *ret_lowest;
    }
    return best;
}

void ladder_describe(const struct track *track, uint64_t now_us, const struct media_wish *wish,
                     struct allocate_item *item)
{
    for (int i = 0; i < ALLOCATE_STEPS_MAX; i++)
        item->steps[i] = (struct allocate_step){ .sent = false };
    int lowest;
    int best = best_row(track, now_us, wish, &lowest);
    if (best < 0)
        return;
    uint8_t top = wanted_row(track, now_us, wish, (uint8_t)best);
    unsigned right = wanted_column(track_row(track, now_us, top), now_us, wish);
    for (uint8_t row = 0; row <= top; row++) {
        const struct track_layer *layer = track_row(track, now_us, row);
        unsigned first = layer ? first_column(layer, now_us) : COLUMNS;
        for (unsigned column = first; column <= right; column++) {
            // a larger picture is not worth a quarter of the frame rate, nor a faster one its size
            bool poor = wish->detail ? column > first && row != top
                                     : column == 0 && right > 0 && row != lowest;
            if (poor)
                continue;
            uint8_t point = point_of(track, now_us, row, column, first);
            item->steps[step_of(wish, row, column)] = (struct allocate_step){
                .sent = true,
                .bitrate_bps = layer->rates.bitrate_bps[point],
            };
        }
    }
}

void ladder_shed(struct allocate_item *item, enum shed_level level)
{
    if (level == SHED_NOTHING)
        return;
    int lowest = 0;
    while (lowest < ALLOCATE_STEPS_MAX && !item->steps[lowest].sent)
        lowest++;
    // steps are in groups: of a row, or of a screen's column
    int first = level == SHED_SIZE   ? (lowest / COLUMNS + 1) * COLUMNS
                : level == SHED_RATE ? lowest + 1
                                     : 0;
    for (int i = first; i < ALLOCATE_STEPS_MAX; i++)
        item->steps[i].sent = false;
}

/** Of simulcast layers: those that rest are known by what they sent before. */
static uint8_t wanted_layers(const struct track *track, const struct media_wish *wish)
{
    uint8_t best = largest_layer(track);
    const struct track_layer *top = &track->layers[best];
    uint64_t pixels = top->width > 0 ? (uint64_t)top->width * top->height : PIXELS_GUESS;
    for (uint8_t row = 0; row < best; row++) {
        const struct track_layer *layer = &track->layers[row];
        uint64_t has = layer->width > 0 ? (uint64_t)layer->width * layer->height
                                        : pixels >> (2 * (best - row));
        if (fills(has, wish))
            return (uint8_t)(row + 1);
    }
    return ROWS;
}

/** Of the spatial layers of a single stream, of which `rows` are sent. */
static uint8_t wanted_spatial(const struct track *track, uint64_t now_us,
                              const struct media_wish *wish, uint8_t rows, bool whole)
{
    if (!track_row(track, now_us, 0))
        return whole ? ROWS : track->demand.told;
    // while nothing rests, who needs the largest row needs all there is
    for (uint8_t row = 0; row < rows - whole; row++) {
        if (fills(pixels_of(track, now_us, row, (uint8_t)(rows - 1)), wish))
            return (uint8_t)(row + 1);
    }
    return ROWS;
}

uint8_t ladder_wanted_rows(const struct track *track, uint64_t now_us,
                           const struct media_wish *wish)
{
    if (wish->paused)
        return 0;
    uint8_t rows = layer_rates_rows(&track->layers[0].rates, now_us);
    bool whole = track->demand.told == 0 || track->demand.told == ROWS;
    if (!track->simulcast && rows == 1 && whole)
        return ROWS; // one size is all there is
    uint8_t limit = wish->layers > 0 ? min_of(wish->layers, (uint8_t)ROWS) : ROWS;
    if (wish->width == 0 || wish->height == 0)
        return limit;
    uint8_t wanted = track->simulcast ? wanted_layers(track, wish)
                                      : wanted_spatial(track, now_us, wish, rows, whole);
    return min_of(wanted, limit);
}

struct ladder_place ladder_place(const struct track *track, uint64_t now_us,
                                 const struct media_wish *wish, uint8_t step)
{
    uint8_t row = (uint8_t)(wish->detail ? step % ROWS : step / COLUMNS);
    unsigned column = wish->detail ? step / ROWS : step % COLUMNS;
    uint8_t layer = track->simulcast ? row : 0;
    unsigned first = first_column(&track->layers[layer], now_us);
    return (struct ladder_place){
        .layer = (uint8_t)(track->simulcast ? row : TRACK_LAYERS_MAX - 1),
        .point = point_of(track, now_us, row, column, first),
    };
}
