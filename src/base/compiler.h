/** Attributes, checks and small macros that every file may use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The caller must look at the result. */
#define must_check __attribute__((warn_unused_result))
/** The function checks a printf format: `format_check(2, 3)`. */
#define format_check(format_index, first_index)                                                    \
    __attribute__((format(printf, format_index, first_index)))
/** Runs `function(&variable)` when the variable goes out of scope. */
#define cleanup(function) __attribute__((cleanup(function)))
/** For parameters that an operation table forces on a function. */
#define unused __attribute__((unused))

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define array_size(array) (sizeof(array) / sizeof((array)[0]))

/** Both sides should have one type: the result has that of the first. */
#define min_of(a, b)                                                                               \
    ({                                                                                             \
        typeof(a) min_a_ = (a);                                                                    \
        typeof(b) min_b_ = (b);                                                                    \
        (typeof(min_a_))(min_a_ < min_b_ ? min_a_ : min_b_);                                       \
    })
#define max_of(a, b)                                                                               \
    ({                                                                                             \
        typeof(a) max_a_ = (a);                                                                    \
        typeof(b) max_b_ = (b);                                                                    \
        (typeof(max_a_))(max_a_ > max_b_ ? max_a_ : max_b_);                                       \
    })

/** The struct that contains `member` at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/**
 * A belief that must hold, checked in release builds too. Never for input from outside: that gets
 * an error code and a drop reason.
 */
#define ensure(condition)                                                                          \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            ensure_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

/** Prints the broken belief and aborts. */
_Noreturn void ensure_failed(const char *condition, const char *file, int line);
