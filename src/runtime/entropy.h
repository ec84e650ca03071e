/**
 * The system's randomness as a `struct random`: getrandom behind a small buffer, so that a 4-byte
 * draw is not a system call. Bytes are wiped as they are handed out. One instance per thread.
 */
#pragma once

#include "base/random.h"

#define ENTROPY_BUFFER_SIZE 512

struct entropy {
    struct random random; /**< pass `&entropy.random` to engines */
    size_t left;          /**< unused bytes at the end of `buffer` */
    uint8_t buffer[ENTROPY_BUFFER_SIZE];
};

void entropy_init(struct entropy *entropy);
/** Wipes what was not handed out. */
void entropy_done(struct entropy *entropy);
