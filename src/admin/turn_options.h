/** What stands in the lists of section [turn], taken apart. */
#pragma once

#include "admin/options.h"
#include "proto/turn/turn_ports.h"
#include "proto/turn/turn_settings.h"

/** Takes the next item of a secret list: separated by commas, blanks at its ends removed. */
bool turn_option_next(struct bytes *rest, struct bytes *ret_item);

/** "IP" or "IP/EXTERNAL-IP" of one family. Returns 0 or -EINVAL. */
must_check int turn_option_relay_address(const char *text, struct turn_relay_address *ret_address);
/** "IP:PORT" or "IP:PORT/DOMAIN"; `domain` views `text`. Returns 0 or -EINVAL. */
must_check int turn_option_alternate(const char *text, struct turn_alternate_server *ret_server);

/** A key with a place of its own for its name. Secret. */
struct turn_option_key {
    char kid[128];
    struct turn_token_key key; /**< `kid` is not set */
};
/** "KID:A256GCM:BASE64". Returns 0 or -EINVAL. */
must_check int turn_option_key(struct bytes text, struct turn_option_key *ret_key);

/** What must hold within the section and against others; adds problems. */
void turn_options_check(const struct roost_options *options, struct options_problems *problems);
