/** Whether someone who shows a name and a password is a user. */
#pragma once

#include "users/user_store.h"

/**
 * Takes the same time whether the name is known or not. Names are told apart by case; disabled
 * users are nobody.
 */
bool user_list_admits(const struct user_list *list, struct bytes name, struct bytes password);
