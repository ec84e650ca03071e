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

size_t media_candidates_write(const struct media_candidates *candidates, uint16_t port,
                              bool loopback, char *text, size_t capacity,
                              struct bytes lines[MEDIA_CANDIDATES_MAX])
{
    bool with_loopback = loopback || only_loopback(candidates);
    struct text_builder builder = text_builder_of(text, capacity);
    size_t count = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        if (candidates->loopback[i] && !with_loopback)
            continue;
        struct net_address address = candidates->addresses[i];
        address.port = port;
        struct ice_candidate candidate = ice_candidate_host(&address, (uint16_t)(UINT16_MAX - i));
        size_t start = builder.length + sizeof(CANDIDATE_NAME) - 1; // the value alone
        ice_candidate_write(&candidate, &builder);
        if (builder.truncated)
            break;
        lines[count++] = bytes_of(text + start, builder.length - start);
    }
    return count;
}
