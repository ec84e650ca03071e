/** A TURN credential as JSON. */
#pragma once

#include "base/json_text.h"
#include "signal/access/turn_offer.h"

/**
 * The one object that all kinds of clients understand: `iceServers` for RTCPeerConnection,
 * `lifetimeDuration` beside it as Google's API has it, and username, password, ttl and uris of the
 * REST scheme (draft-uberti-behave-turn-rest-00).
 */
void turn_ticket_write(const struct turn_ticket *ticket, struct json_text *json);
