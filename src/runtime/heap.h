/** The process's heap as a whole. */
#pragma once

/**
 * Gives memory that is free in the middle of the heap back to the system, in all arenas. Takes
 * milliseconds and holds up other threads' allocations meanwhile: for after a peak, not for every
 * free. Does nothing where the C library has no such function.
 */
void heap_trim(void);
/**
 * free() for a block of malloc's that may hold secrets and whose size nobody knows: wipes all of
 * it before. Accepts NULL.
 */
void heap_free_wiped(void *block);
