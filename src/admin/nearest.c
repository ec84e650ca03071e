#include "admin/nearest.h"

#include <string.h>

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

size_t nearest_distance(struct bytes a, struct bytes b)
{
    if (a.size > NEAREST_NAME_MAX || b.size > NEAREST_NAME_MAX)
        return SIZE_MAX;
    // three rows of the table of distances between prefixes: two are not enough for swaps
    size_t rows[3][NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            uint8_t from = lower(a.data[i - 1]), to = lower(b.data[j - 1]);
            size_t best = above[j - 1] + (from != to);
            best = min_of(best, above[j] + 1);
            best = min_of(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && from == lower(b.data[j - 2]) && lower(a.data[i - 2]) == to)
                best = min_of(best, two_above[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a.size % 3][b.size];
}

struct nearest nearest_to(struct bytes wanted)
{
    return (struct nearest){ .wanted = wanted, .distance = max_of(wanted.size / 3, (size_t)1) + 1 };
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t distance = nearest_distance(nearest->wanted, bytes_of_text(name));
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
    }
}
