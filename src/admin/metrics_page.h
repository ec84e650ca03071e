/**
 * The registry of metric sets, its Prometheus page, and the process's own figures. Belongs to the
 * control thread; the values themselves are read from other threads' sets as base/metric.h allows.
 */
#pragma once

#include "base/metric.h"

struct metrics_page;

/** `now_us` starts the uptime. Never NULL. */
struct metrics_page *metrics_page_new(uint64_t now_us);
/** Accepts NULL. Returns NULL. */
struct metrics_page *metrics_page_free(struct metrics_page *page);
/**
 * Adds a set; the struct is copied, its values and labels must outlive the page. Sets of one
 * description table are kept together whatever the order of adding.
 */
void metrics_page_add(struct metrics_page *page, const struct metric_set *set);
/** Removes the set with these values; nothing when it was never added. */
void metrics_page_remove(struct metrics_page *page, const metric_value *values);
/** The whole page as heap text, which the caller frees. */
char *metrics_page_write(struct metrics_page *page, uint64_t now_us, size_t *ret_size);
