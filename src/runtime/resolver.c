#include "runtime/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/sockaddr.h"

/** RFC 1035: 253 characters of name; a scoped IPv6 address is shorter. */
#define HOST_MAX 256

struct resolver_query {
    struct job job;
    char host[HOST_MAX];
    uint16_t port;
    void (*resolved)(void *owner, const struct resolver_result *result); /**< NULL: cancelled */
    void *owner;
    struct resolver_result result;
};

static int errno_of(int error)
{
    switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno ? -errno : -EIO;
    default:
        return -EIO;
    }
}

static void look_up(struct job *job)
{
    struct resolver_query *query = container_of(job, struct resolver_query, job);
    struct resolver_result *result = &query->result;
    // one socket type: else every address comes once per type
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int error = getaddrinfo(query->host, NULL, &hints, &found);
    if (error) {
        result->error = errno_of(error);
        return;
    }
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        struct sockaddr_storage name = { 0 };
        if (result->count == RESOLVER_ADDRESSES_MAX || at->ai_addrlen > sizeof(name))
            break;
        __builtin_memcpy(&name, at->ai_addr, at->ai_addrlen);
        struct net_address address = sockaddr_read(&name);
        address.port = query->port;
        if (address.family != NET_NONE)
            result->addresses[result->count++] = address;
    }
    freeaddrinfo(found);
    if (result->count == 0)
        result->error = -ENOENT;
}

static void looked_up(struct job *job)
{
    struct resolver_query *query = container_of(job, struct resolver_query, job);
    if (query->resolved)
        query->resolved(query->owner, &query->result);
    free(query);
}

int resolver_lookup(struct job_inbox *inbox, const char *host, uint16_t port,
                    void (*resolved)(void *owner, const struct resolver_result *result),
                    void *owner, struct resolver_query **ret_query)
{
    struct resolver_query *query = memory_new(struct resolver_query);
    query->job.work = look_up;
    query->job.done = looked_up;
    query->port = port;
    query->resolved = resolved;
    query->owner = owner;
    int error = text_copy(query->host, sizeof(query->host), bytes_of_text(host));
    if (error == 0)
        error = job_submit(inbox, &query->job);
    if (error < 0) {
        free(query);
        return error;
    }
    if (ret_query)
        *ret_query = query;
    return 0;
}

void resolver_cancel(struct resolver_query *query)
{
    // only `done`, on this thread, reads it
    if (query)
        query->resolved = NULL;
}
