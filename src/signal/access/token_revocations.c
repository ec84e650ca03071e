#include "signal/access/token_revocations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

struct token_revocation {
    uint64_t unix_s; /**< ids: when it was revoked; users: tokens issued before this */
};

void token_revocations_init(struct token_revocations *revocations, const uint64_t secret[2])
{
    *revocations = (struct token_revocations){ 0 };
    map_init(&revocations->ids, secret);
    map_init(&revocations->users, secret);
}

static void free_entries(struct map *map)
{
    size_t cursor = 0;
    void *entry;
    while (map_next(map, &cursor, NULL, &entry))
        free(entry);
    map_done(map);
}

void token_revocations_done(struct token_revocations *revocations)
{
    free_entries(&revocations->ids);
    free_entries(&revocations->users);
}

static int add(struct map *map, const char *name, uint64_t unix_s)
{
    struct bytes key = bytes_of_text(name);
    if (key.size == 0 || key.size >= TOKEN_NAME_SIZE)
        return -EINVAL;
    struct token_revocation *entry = map_find(map, key);
    if (!entry) {
        if (map->count >= TOKEN_REVOCATIONS_MAX)
            return -ENOSPC;
        entry = memory_new(struct token_revocation);
        map_set(map, key, entry);
    }
    entry->unix_s = max_of(entry->unix_s, unix_s);
    return 0;
}

int token_revocations_add_id(struct token_revocations *revocations, const char *id,
                             uint64_t now_unix_s)
{
    return add(&revocations->ids, id, now_unix_s);
}

int token_revocations_add_user(struct token_revocations *revocations, const char *user,
                               uint64_t issued_before_unix_s)
{
    return add(&revocations->users, user, issued_before_unix_s);
}

static bool remove_entry(struct map *map, const char *name)
{
    void *entry = map_remove(map, bytes_of_text(name));
    free(entry);
    return entry != NULL;
}

bool token_revocations_remove_id(struct token_revocations *revocations, const char *id)
{
    return remove_entry(&revocations->ids, id);
}

bool token_revocations_remove_user(struct token_revocations *revocations, const char *user)
{
    return remove_entry(&revocations->users, user);
}

bool token_revocations_cover(const struct token_revocations *revocations, const char *id,
                             const char *user, uint64_t issued_unix_s)
{
    if (issued_unix_s < revocations->issued_before_unix_s)
        return true;
    if (id[0] && map_find(&revocations->ids, bytes_of_text(id)))
        return true;
    const struct token_revocation *entry =
        user[0] ? map_find(&revocations->users, bytes_of_text(user)) : NULL;
    return entry && issued_unix_s < entry->unix_s;
}

static json_t *write_map(const struct map *map)
{
    json_t *object = json_object();
    size_t cursor = 0;
    struct bytes key;
    void *value;
    while (map_next(map, &cursor, &key, &value)) {
        const struct token_revocation *entry = value;
        char name[TOKEN_NAME_SIZE];
        if (text_copy(name, sizeof(name), key) == 0)
            json_object_set_new(object, name, json_integer((json_int_t)entry->unix_s));
    }
    return object;
}

json_t *token_revocations_write(const struct token_revocations *revocations)
{
    json_t *json = json_object();
    json_object_set_new(json, "ids", write_map(&revocations->ids));
    json_object_set_new(json, "users", write_map(&revocations->users));
    json_object_set_new(json, "issued_before",
                        json_integer((json_int_t)revocations->issued_before_unix_s));
    return json;
}

static int read_map(struct map *map, json_t *object)
{
    const char *name;
    json_t *time;
    json_object_foreach(object, name, time)
    {
        if (!json_is_integer(time) || json_integer_value(time) < 0)
            return -EINVAL;
        int result = add(map, name, (uint64_t)json_integer_value(time));
        if (result < 0)
            return result;
    }
    return 0;
}

int token_revocations_read(struct token_revocations *revocations, json_t *json)
{
    json_t *before = json_object_get(json, "issued_before");
    if (!json_is_object(json) || (before && !json_is_integer(before)))
        return -EINVAL;
    int result = read_map(&revocations->ids, json_object_get(json, "ids"));
    if (result == 0)
        result = read_map(&revocations->users, json_object_get(json, "users"));
    uint64_t time = (uint64_t)max_of(json_integer_value(before), (json_int_t)0);
    if (result == 0)
        revocations->issued_before_unix_s = max_of(revocations->issued_before_unix_s, time);
    return result;
}
