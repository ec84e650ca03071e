#include "server/media_candidates.h"

#include "proto/ice/ice_candidate.h"
#include "runtime/interfaces.h"

/** What ice_candidate_write puts in front of the value. */
#define CANDIDATE_NAME "candidate:"

static void add(struct media_candidates *candidates, const struct net_address *address)
{
    for (size_t i = 0; i < candidates->count; i++) {
        if (net_address_same_ip(&candidates->addresses[i], address))
            return;
    }
    if (candidates->count == MEDIA_CANDIDATES_MAX)
        return;
    candidates->addresses[candidates->count] = *address;
    candidates->loopback[candidates->count++] = net_address_is_loopback(address);
}

int media_candidates_collect(const struct media_candidate_config *config,
                             struct media_candidates *ret_candidates)
{
    struct media_candidates candidates = { 0 };
    if (config->external.family != NET_NONE)
        add(&candidates, &config->external);
    for (size_t i = 0; i < config->address_count; i++)
        add(&candidates, &config->addresses[i]);
    bool bound_to_one =
        config->bound.family != NET_NONE && !net_address_is_unspecified(&config->bound);
    if (config->address_count == 0 && bound_to_one) {
        add(&candidates, &config->bound);
    } else if (config->address_count == 0) {
        struct interface_address found[MEDIA_CANDIDATES_MAX];
        int count = interface_list(found, MEDIA_CANDIDATES_MAX);
        if (count < 0)
            return count;
        for (int i = 0; i < count; i++) {
            if (config->ipv6 || found[i].address.family == NET_IPV4)
                add(&candidates, &found[i].address);
        }
    }
    *ret_candidates = candidates;
    return 0;
}

static bool only_loopback(const struct media_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++) {
        if (!candidates->loopback[i])
            return false;
    }
    return true;
}

/** Candidates of one call, and the text they are written into. */
struct lines {
    struct text_builder builder;
    struct bytes *lines;
    size_t count;
};

static void add_line(struct lines *out, const struct ice_candidate *candidate)
{
    if (out->count == MEDIA_CANDIDATES_MAX || out->builder.truncated)
        return;
    size_t start = out->builder.length + sizeof(CANDIDATE_NAME) - 1; // the value alone
    ice_candidate_write(candidate, &out->builder);
    if (!out->builder.truncated)
        out->lines[out->count++] = bytes_of(out->builder.data + start, out->builder.length - start);
}

static bool listens_on(const struct net_address *listener, const struct net_address *address)
{
    return listener->family == NET_NONE || net_address_is_unspecified(listener) ||
           net_address_same_ip(listener, address);
}

size_t media_candidates_write(const struct media_candidates *candidates, uint16_t port,
                              bool loopback, char *text, size_t capacity,
                              struct bytes lines[MEDIA_CANDIDATES_MAX])
{
    bool with_loopback = loopback || only_loopback(candidates);
    struct lines out = { .builder = text_builder_of(text, capacity), .lines = lines };
    for (size_t t = 0; t <= candidates->tcp_count; t++) {
        for (size_t i = 0; i < candidates->count; i++) {
            struct net_address address = candidates->addresses[i];
            if (candidates->loopback[i] && !with_loopback)
                continue;
            struct ice_candidate candidate;
            address.port = port;
            if (t == 0) {
                candidate = ice_candidate_host(&address, (uint16_t)(UINT16_MAX - i));
            } else {
                const struct net_address *listener = &candidates->tcp[t - 1];
                if (!listens_on(listener, &address))
                    continue;
                address.port = listener->port;
                candidate = ice_candidate_tcp_host(
                    &address, (uint16_t)(8191 - (t - 1) * MEDIA_CANDIDATES_MAX - i));
            }
            add_line(&out, &candidate);
        }
    }
    return out.count;
}
