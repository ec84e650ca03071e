/**
 * Structured log records. This ring only builds a record and hands it to a sink (the formats for
 * terminals and JSON are admin/log_output.h); library code below ring 5 does not log at all.
 *
 *     log_info(log, "peer connected", log_text("room", name), log_number("peers", count));
 *
 * Messages are constant sentences without values (they are the rate limiter's key); values go into
 * fields. Never log a secret: no password, token, key, ice-pwd or Authorization header.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
};

enum log_field_kind {
    LOG_FIELD_END,
    LOG_FIELD_TEXT,
    LOG_FIELD_NUMBER,
    LOG_FIELD_ADDRESS,
    LOG_FIELD_ERROR, /**< a negative errno */
};

struct log_field {
    enum log_field_kind kind;
    const char *key;
    union {
        struct bytes text;
        int64_t number;
        const struct net_address *address;
    };
};

struct log_record {
    enum log_level level;
    const char *domain; /**< which part speaks: "http", "room" */
    const char *message;
    const struct log_field *fields; /**< ends with LOG_FIELD_END */
    uint32_t suppressed; /**< equal messages dropped by the rate limiter since the last one */
};

/** Where records go. `write` may be called from any thread that owns a `struct log`. */
struct log_sink {
    void (*write)(struct log_sink *self, const struct log_record *record);
    _Atomic int level; /**< enum log_level: lower ones are dropped; a reload changes it */
};

#define LOG_RATE_SLOTS 64

/** One thread's logger. Not shared between threads. */
struct log {
    struct log_sink *sink;
    const char *domain;
    struct log_rate *rate; /**< shared by the loggers of one thread; NULL: no limit */
};

/** The rate limiter of one thread: per message, bursts of `burst`, then `per_second`. */
struct log_rate {
    uint64_t now_us; /**< the loop sets it every turn */
    uint32_t burst;
    uint32_t per_second;
    struct {
        const char *message;
        uint64_t refilled_us;
        uint32_t tokens;
        uint32_t suppressed;
    } slots[LOG_RATE_SLOTS];
};

void log_rate_init(struct log_rate *rate, uint32_t burst, uint32_t per_second);
/** Emits a record unless the level or the rate limiter says no. `log` may be NULL: nothing. */
void log_emit(const struct log *log, enum log_level level, const char *message,
              const struct log_field *fields);

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){ LOG_FIELD_TEXT, key, { .text = bytes_of_text(text ? text : "") } };
}

static inline struct log_field log_bytes(const char *key, struct bytes text)
{
    return (struct log_field){ LOG_FIELD_TEXT, key, { .text = text } };
}

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){ LOG_FIELD_NUMBER, key, { .number = number } };
}

static inline struct log_field log_address(const char *key, const struct net_address *address)
{
    return (struct log_field){ LOG_FIELD_ADDRESS, key, { .address = address } };
}

/** `error` is a negative errno. */
static inline struct log_field log_error_code(const char *key, int error)
{
    return (struct log_field){ LOG_FIELD_ERROR, key, { .number = error } };
}

#define log_at(log, level, message, ...)                                                           \
    log_emit((log), (level), (message),                                                            \
             (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ .kind = LOG_FIELD_END } })
#define log_debug(log, message, ...)   log_at(log, LOG_LEVEL_DEBUG, message, __VA_ARGS__)
#define log_info(log, message, ...)    log_at(log, LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_warning(log, message, ...) log_at(log, LOG_LEVEL_WARNING, message, __VA_ARGS__)
#define log_failure(log, message, ...) log_at(log, LOG_LEVEL_ERROR, message, __VA_ARGS__)
