/**
 * Where log records end: one line per record, written with one write(2), so that lines of several
 * threads never mix. Human lines for a terminal, JSON lines for everything else.
 *
 *     2026-03-01T12:00:00.123Z INFO    room     member joined  room=lobby members=3
 *     {"time":"2026-03-01T12:00:00.123Z","level":"info","domain":"room","message":"member joined",
 *      "room":"lobby","members":3}
 *
 * What comes from outside cannot break a line or drive the terminal: control characters are
 * escaped, and bytes that are no UTF-8 are replaced.
 */
#pragma once

#include "base/log.h"
#include "base/text.h"

/** A longer line loses the end of its fields, and says so. */
#define LOG_OUTPUT_LINE_MAX 4096

enum log_output_format {
    LOG_OUTPUT_HUMAN,
    LOG_OUTPUT_HUMAN_COLOUR,
    LOG_OUTPUT_JSON,
};

struct log_output {
    struct log_sink sink; /**< give `&output->sink` to the loggers of every thread */
    int fd;
    enum log_output_format format;
};

/** Writes to `fd`, which stays the caller's. */
void log_output_init(struct log_output *output, int fd, enum log_output_format format,
                     enum log_level level);
/** Changes the least level; from any thread. */
void log_output_set_level(struct log_output *output, enum log_level level);

/** One record as a line with its line feed, always whole. `unix_us` is the wall clock. */
void log_output_write_line(const struct log_record *record, enum log_output_format format,
                           uint64_t unix_us, struct text_builder *out);
