// `roost user import`: the whole file is looked at before anything is written, and then written in
// one transaction.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/command_user_int.h"
#include "base/map.h"
#include "base/memory.h"
#include "runtime/entropy.h"
#include "runtime/files.h"
#include "users/user_import.h"

#define FILE_SIZE_MAX (64u << 20)
/** More wrong lines than that are not told. */
#define PROBLEMS_MAX 20

/** One who will be made. Secret. */
struct newcomer {
    struct user_import_row row;
    struct user_keys keys;
};

struct import {
    struct user_call *user;
    bool digest;     /**< where the file does not say */
    struct map seen; /**< names of the file; the values are anything */
    struct newcomer *newcomers;
    size_t count;
    size_t capacity;
    size_t problems;
};

static void complain_of(struct import *import, const char *problem)
{
    import->problems++;
    if (import->problems <= PROBLEMS_MAX)
        fprintf(stderr, "roost: %s\n", problem);
    else if (import->problems == PROBLEMS_MAX + 1)
        fprintf(stderr, "roost: and more\n");
}

/** Not memory_resize, which would leave passwords in the old place. */
static struct newcomer *room(struct import *import)
{
    if (import->count == import->capacity) {
        size_t larger = max_of(import->capacity * 2, (size_t)64);
        struct newcomer *newcomers = memory_new_array(struct newcomer, larger);
        if (import->count > 0) {
            memcpy(newcomers, import->newcomers, import->count * sizeof(*newcomers));
            memory_wipe(import->newcomers, import->count * sizeof(*newcomers));
        }
        free(import->newcomers);
        import->newcomers = newcomers;
        import->capacity = larger;
    }
    return &import->newcomers[import->count];
}

/** A good line: is the name free? */
static void take(struct import *import, unsigned line, const struct user_import_row *row)
{
    char problem[USER_NAME_MAX + 96];
    struct bytes name = bytes_of_text(row->name);
    bool is_twice = map_find(&import->seen, name);
    if (is_twice || user_list_find(&import->user->users, name)) {
        struct text_builder text = text_builder_of(problem, sizeof(problem));
        text_append_format(&text,
                           is_twice ? "line %u: \"%s\" is in the file twice"
                                    : "line %u: there is a user \"%s\" already",
                           line, row->name);
        complain_of(import, problem);
        return;
    }
    map_set(&import->seen, name, import);
    room(import)->row = *row;
    import->count++;
}

static void check_file(struct import *import, struct bytes text)
{
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    struct user_import reader;
    if (user_import_begin(&reader, text, &problem) < 0) {
        complain_of(import, problem_text);
        return;
    }
    struct user_import_row row;
    int result;
    while ((result = user_import_next(&reader, &row, &problem)) != 0) {
        if (result > 0)
            take(import, reader.line, &row);
        else
            complain_of(import, problem_text);
        problem = text_builder_of(problem_text, sizeof(problem_text));
    }
    memory_wipe(&row, sizeof(row));
}

/** Before the store is locked: 4 ms for each password. */
static void make_keys(struct import *import)
{
    struct entropy entropy;
    entropy_init(&entropy);
    for (size_t i = 0; i < import->count; i++) {
        struct newcomer *newcomer = &import->newcomers[i];
        const struct user_import_row *row = &newcomer->row;
        bool digest = row->says_digest ? row->digest : import->digest;
        if (row->password[0])
            user_keys_make(&newcomer->keys, row->name, import->user->realm, row->password, digest,
                           &entropy.random);
        else
            newcomer->keys = (struct user_keys){ .scram_sha256 = row->scram_sha256,
                                                 .scram_sha1 = row->scram_sha1 };
    }
    entropy_done(&entropy);
}

static int store_one(const struct user_call *user, const struct newcomer *newcomer)
{
    const struct user_import_row *row = &newcomer->row;
    int result = user_store_add(user->store, row->name, user->realm, &newcomer->keys,
                                user_call_now_unix_s());
    if (result == 0 && row->role != USER_ROLE_USER)
        result = user_store_set_role(user->store, row->name, user->realm, row->role);
    if (result == 0 && row->display_name[0])
        result =
            user_store_set_display_name(user->store, row->name, user->realm, row->display_name);
    return result;
}

static int store_all(const struct import *import)
{
    struct user_store *store = import->user->store;
    int result = user_store_begin(store);
    if (result < 0)
        return result;
    for (size_t i = 0; result == 0 && i < import->count; i++)
        result = store_one(import->user, &import->newcomers[i]);
    int end = user_store_end(store, result == 0);
    return result < 0 ? result : end;
}

static int run(struct import *import, struct bytes text)
{
    struct user_call *user = import->user;
    int result = user_store_read(user->store, user->realm, &user->users);
    if (result < 0)
        return user_call_failed(user, result);
    check_file(import, text);
    if (import->problems > 0)
        return user_call_complain(CLI_EXIT_FAILURE, "nothing was imported");
    make_keys(import);
    result = store_all(import);
    if (result < 0)
        return user_call_failed(user, result);
    printf("%zu users imported\n", import->count);
    return CLI_EXIT_OK;
}

int user_call_import(struct user_call *user)
{
    struct import import = { .user = user };
    const char *path = user->call->arguments[1];
    char *text;
    size_t size;
    enum user_digest digest;
    int exit = user_call_take_digest(user, &digest);
    if (exit != CLI_EXIT_OK)
        return exit;
    import.digest = digest == USER_DIGEST_YES ||
                    (digest == USER_DIGEST_AS_IT_IS && user_call_keeps_digest(user));
    // it may be a socket, which cannot be opened by its name
    bool is_input = strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0;
    int result = is_input ? file_read_fd(STDIN_FILENO, FILE_SIZE_MAX, &text, &size)
                          : file_read(path, FILE_SIZE_MAX, &text, &size);
    if (result < 0) {
        fprintf(stderr, "roost: cannot read %s: %s\n", path, strerror(-result));
        return CLI_EXIT_FAILURE;
    }
    exit = run(&import, bytes_of(text, size));
    memory_wipe(text, size);
    free(text);
    if (import.newcomers)
        memory_wipe(import.newcomers, import.count * sizeof(*import.newcomers));
    free(import.newcomers);
    map_done(&import.seen);
    return exit;
}
