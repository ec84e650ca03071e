#include "admin/token_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/files.h"

static int add_file(struct token_keys *keys, const char *path, struct text_builder *ret_problem)
{
    char *text;
    size_t size;
    int result = file_read(path, TOKEN_KEYS_TEXT_MAX, &text, &size);
    if (result < 0) {
        text_append_format(ret_problem, "cannot read auth.keys %s: %s", path, strerror(-result));
        return result;
    }
    char clause_text[256];
    struct text_builder clause = text_builder_of(clause_text, sizeof(clause_text));
    int added = token_keys_add_text(keys, bytes_of(text, size), TOKEN_TRUST_ALL, &clause);
    memory_wipe(text, size); // it may hold secrets
    free(text);
    if (added > 0)
        return 0;
    text_append_format(ret_problem, "auth.keys %s has no key that can be used%s%s", path,
                       clause.length ? ": " : "", clause_text);
    return -EINVAL;
}

int token_files_load(const struct roost_options *options, const struct data_folder *data,
                     struct token_keys **ret_keys, struct text_builder *ret_problem)
{
    struct token_keys *keys = token_keys_new();
    int result = token_keys_add_secret(keys, NULL, data_token_key(data, options));
    if (result == 0 && *options->auth.keys)
        result = add_file(keys, options->auth.keys, ret_problem);
    if (result < 0)
        token_keys_free(keys);
    else
        *ret_keys = keys;
    return result;
}
