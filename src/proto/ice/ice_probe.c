#include "proto/ice/ice_probe.h"

#include <string.h>

void ice_probe_want(struct ice_probe *probe, uint64_t now_us, const struct net_path *path)
{
    if (probe->asked_us != 0 && now_us - probe->asked_us < ICE_PROBE_INTERVAL_US)
        return;
    if (!probe->under_way || !net_path_equal(&probe->path, path))
        *probe = (struct ice_probe){ .path = *path };
    probe->asked_us = now_us;
    probe->due = true;
}

void ice_probe_sent(struct ice_probe *probe, struct random *random)
{
    if (!probe->under_way) // else its answer may be on the way
        random_fill(random, probe->transaction_id, sizeof(probe->transaction_id));
    probe->due = false;
    probe->under_way = true;
}

void ice_probe_drop(struct ice_probe *probe)
{
    probe->due = probe->under_way = false;
}

bool ice_probe_matches(const struct ice_probe *probe, const struct net_path *path,
                       const uint8_t transaction_id[12])
{
    return probe->under_way && net_path_equal(&probe->path, path) &&
           memcmp(probe->transaction_id, transaction_id, sizeof(probe->transaction_id)) == 0;
}
