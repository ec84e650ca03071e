/** What parser and writer share: private to src/proto/sdp. */
#pragma once

#include "proto/sdp/sdp.h"

/** Names of enum sdp_direction and enum sdp_setup, by value; NULL for NONE. */
extern const char *const sdp_direction_names[SDP_DIRECTION_INACTIVE + 1];
extern const char *const sdp_setup_names[SDP_SETUP_HOLDCONN + 1];

/**
 * Takes one a= line into a section (or into the session's defaults, which have the same shape).
 * Returns NULL or what is wrong with it. Sets `*ret_known` when the attribute is typed.
 */
const char *sdp_attribute_parse(struct sdp *sdp, struct sdp_section *section, struct bytes name,
                                struct bytes value, bool *ret_known);
