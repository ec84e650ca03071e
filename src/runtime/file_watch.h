/**
 * Tells when files change: certificates that certbot renews, configuration. Follows renames over
 * the name and symbolic links that are pointed elsewhere; bursts of changes are told once, 200 ms
 * after the last one.
 */
#pragma once

#include "runtime/loop.h"

struct file_watch;

/** At most as many files in one watch. */
#define FILE_WATCH_MAX 16

/**
 * Watches `count` files (they need not exist; their folders must). `changed` is called with the
 * index of a file whose content was replaced, changed, created or removed. Returns 0 or a negative
 * errno.
 */
must_check int file_watch_open(struct loop *loop, const char *const *paths, size_t count,
                               void (*changed)(void *owner, size_t index), void *owner,
                               struct file_watch **ret_watch);
/** Accepts NULL; returns NULL. */
struct file_watch *file_watch_close(struct file_watch *watch);
