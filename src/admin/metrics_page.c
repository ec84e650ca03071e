#include "admin/metrics_page.h"

#include <stdlib.h>
#include <string.h>

#include "admin/process_metrics.h"
#include "base/memory.h"

#define PAGE_SIZE_FIRST (16u << 10)

struct metrics_page {
    struct process_metrics process;
    struct metric_set *sets;
    size_t count;
    size_t capacity;
    size_t page_size; /**< what the last page needed: the next one starts with that */
};

struct metrics_page *metrics_page_new(uint64_t now_us)
{
    struct metrics_page *page = memory_new(struct metrics_page);
    page->page_size = PAGE_SIZE_FIRST;
    process_metrics_init(&page->process, now_us);
    struct metric_set own = process_metrics_set(&page->process);
    metrics_page_add(page, &own);
    return page;
}

struct metrics_page *metrics_page_free(struct metrics_page *page)
{
    if (page)
        free(page->sets);
    free(page);
    return NULL;
}

/** Behind the last set of the same table, else at the end. */
static size_t place_of(const struct metrics_page *page, const struct metric_set *set)
{
    for (size_t i = page->count; i > 0; i--) {
        if (page->sets[i - 1].descriptions == set->descriptions)
            return i;
    }
    return page->count;
}

void metrics_page_add(struct metrics_page *page, const struct metric_set *set)
{
    if (page->count == page->capacity) {
        page->capacity = page->capacity > 0 ? 2 * page->capacity : 16;
        page->sets = memory_resize(page->sets, page->capacity * sizeof(*page->sets));
    }
    size_t place = place_of(page, set);
    memmove(&page->sets[place + 1], &page->sets[place], (page->count - place) * sizeof(*set));
    page->sets[place] = *set;
    page->count++;
}

void metrics_page_remove(struct metrics_page *page, const metric_value *values)
{
    for (size_t i = 0; i < page->count; i++) {
        if (page->sets[i].values != values)
            continue;
        page->count--;
        memmove(&page->sets[i], &page->sets[i + 1], (page->count - i) * sizeof(*page->sets));
        return;
    }
}

char *metrics_page_write(struct metrics_page *page, uint64_t now_us, size_t *ret_size)
{
    process_metrics_update(&page->process, now_us);
    for (;; page->page_size *= 2) {
        char *text = memory_allocate(1, page->page_size);
        struct text_builder out = text_builder_of(text, page->page_size);
        metric_write(page->sets, page->count, &out);
        if (!out.truncated) {
            *ret_size = out.length;
            return text;
        }
        free(text);
    }
}
