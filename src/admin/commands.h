/** Commands that have a file of their own. Declare one here and add it to the table of commands.c.
 */
#pragma once

#include "admin/cli.h"

extern const struct cli_command command_token;
extern const struct cli_command command_turn_credentials;
extern const struct cli_command command_user;
