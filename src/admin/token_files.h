/** The keys of tokens that the configuration names. */
#pragma once

#include "admin/first_start.h"
#include "signal/access/token_keys.h"

/**
 * Our own secret and the file auth.keys as one set; the caller frees it. Returns 0, or a negative
 * errno with a sentence in `ret_problem`.
 */
must_check int token_files_load(const struct roost_options *options, const struct data_folder *data,
                                struct token_keys **ret_keys, struct text_builder *ret_problem);
