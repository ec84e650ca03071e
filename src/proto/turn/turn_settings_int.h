/** What the other files of this folder see of the settings. */
#pragma once

#include "crypto/hmac.h"
#include "proto/turn/turn_settings.h"

/** The secrets of time-limited credentials, ready for use. */
const struct hmac_key *turn_settings_rest_keys(const struct turn_settings *settings,
                                               size_t *ret_count);
/** As turn_rest_password, with a prepared key (HASH_SHA1). */
void turn_rest_password_key(const struct hmac_key *key, struct bytes username,
                            char out[TURN_REST_PASSWORD_SIZE]);
