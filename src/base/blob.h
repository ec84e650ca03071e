/**
 * A string of bytes on the heap that never changes once it is shared: messages of data channels,
 * which several receivers on several threads send from the same memory.
 *
 * References may be added and dropped by any thread that holds one. Handing one to another thread
 * needs a queue that publishes what was written before (runtime/mailbox.h does).
 */
#pragma once

#include "base/bytes.h"

struct blob;

/** A copy of `bytes` with one reference; NULL when the system has no memory. */
must_check struct blob *blob_new(struct bytes bytes);
/**
 * `size` bytes with one reference, to be written through `ret_at` before anybody else sees them;
 * NULL when the system has no memory, and `ret_at` is then untouched.
 */
must_check struct blob *blob_new_uninit(size_t size, uint8_t **ret_at);
/**
 * A blob that nobody else has a reference to, longer or shorter than it was; bytes that are added
 * have no value yet. NULL when the system has no memory for more, and `blob` is then untouched.
 */
must_check struct blob *blob_resize(struct blob *blob, size_t size, uint8_t **ret_at);
/** One more reference; returns `blob`. */
struct blob *blob_ref(struct blob *blob);
/** Drops one reference, the last frees the bytes. Accepts NULL; returns NULL. */
struct blob *blob_unref(struct blob *blob);
/** Its bytes, valid as long as the caller's reference. */
struct bytes blob_bytes(const struct blob *blob);
