/** Names to addresses, on the jobs pool (getaddrinfo blocks). */
#pragma once

#include "base/address.h"
#include "runtime/jobs.h"

#define RESOLVER_ADDRESSES_MAX 16

struct resolver_result {
    int error; /**< 0, -ENOENT (no such name), -EAGAIN (temporary), or another negative errno */
    size_t count;
    struct net_address addresses[RESOLVER_ADDRESSES_MAX]; /**< in the system's order (RFC 6724) */
};

struct resolver_query;

/**
 * Looks `host` (a name or an address in text) up and gives its addresses `port`. `resolved` runs on
 * the inbox's loop, unless the query is cancelled. Returns 0, -ENAMETOOLONG or -EAGAIN.
 * `ret_query` may be NULL.
 */
must_check int resolver_lookup(struct job_inbox *inbox, const char *host, uint16_t port,
                               void (*resolved)(void *owner, const struct resolver_result *result),
                               void *owner, struct resolver_query **ret_query);
/** `resolved` will not be called. Only before it was called. Accepts NULL. */
void resolver_cancel(struct resolver_query *query);
