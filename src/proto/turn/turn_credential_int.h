/** What can be behind a username. Shared by this folder only. */
#pragma once

#include "proto/turn/turn_auth.h"

/** Numbers of the registry "STUN Password Algorithms". */
#define TURN_PASSWORD_MD5    1
#define TURN_PASSWORD_SHA256 2

/** What a request says of its sender; views the message. */
struct turn_claim {
    struct bytes username; /**< or, if it is empty, */
    struct bytes userhash;
    struct bytes realm; /**< equal to ours */
    struct bytes nonce;
    struct bytes token; /**< ACCESS-TOKEN, or empty */
    uint8_t algorithm;  /**< TURN_PASSWORD_*: how the key is made of the password */
};

/**
 * Finds the key of the claim and verifies the integrity of the message with it. Returns true with
 * the identity, or false whatever the reason; unknown users take as long as wrong passwords.
 */
must_check bool turn_credential_verify(const struct turn_settings *settings,
                                       const struct turn_auth_request *request,
                                       const struct turn_claim *claim,
                                       struct turn_identity *identity);
/** Why it was false, for the operator. */
const char *turn_credential_reason(const struct turn_settings *settings,
                                   const struct turn_auth_request *request,
                                   const struct turn_claim *claim);
