#include "signal/access/token_claims.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static const char *const source_names[ROOM_SOURCE_COUNT] = {
    [ROOM_SOURCE_CAMERA] = "camera", [ROOM_SOURCE_MICROPHONE] = "microphone",
    [ROOM_SOURCE_SCREEN] = "screen", [ROOM_SOURCE_SCREEN_AUDIO] = "screen_audio",
    [ROOM_SOURCE_OTHER] = "other",
};

const char *token_source_name(enum room_source source)
{
    return source_names[source];
}

int token_source_parse(struct bytes name, enum room_source *ret_source)
{
    for (unsigned i = 0; i < ROOM_SOURCE_COUNT; i++) {
        if (text_equal(name, source_names[i])) {
            *ret_source = (enum room_source)i;
            return 0;
        }
    }
    return -EINVAL;
}

/** A claim that is not there leaves `out` as it is. */
static int take_text(json_t *claims, const char *name, char out[TOKEN_NAME_SIZE])
{
    json_t *claim = json_object_get(claims, name);
    if (!claim)
        return 0;
    if (!json_is_string(claim))
        return -EBADMSG;
    struct bytes text = bytes_of(json_string_value(claim), json_string_length(claim));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return -EBADMSG;
    }
    return text_copy(out, TOKEN_NAME_SIZE, text) < 0 ? -EBADMSG : 0;
}

static int take_time(json_t *claims, const char *name, uint64_t *ret_time)
{
    json_t *claim = json_object_get(claims, name);
    if (!claim)
        return 0;
    if (!json_is_number(claim) || json_number_value(claim) < 0 || json_number_value(claim) > 1e15)
        return -EBADMSG;
    *ret_time = (uint64_t)json_number_value(claim);
    return 0;
}

/** A claim that must be a boolean when it is there: a denial may not get lost in a wrong type. */
static int take_flag(json_t *claims, const char *name, bool *flag)
{
    json_t *claim = json_object_get(claims, name);
    if (!claim)
        return 0;
    if (!json_is_boolean(claim))
        return -EBADMSG;
    *flag = json_is_true(claim);
    return 0;
}

/** "join": false is `join_denied`, and so on. */
static int take_denial(json_t *claims, const char *name, bool *denied)
{
    bool allowed = true;
    int result = take_flag(claims, name, &allowed);
    if (result == 0)
        *denied = !allowed;
    return result;
}

static int take_publish(json_t *claims, uint8_t *denied)
{
    json_t *claim = json_object_get(claims, "publish");
    if (!claim || json_is_true(claim))
        return 0;
    *denied = ROOM_SOURCES_ALL;
    if (json_is_false(claim))
        return 0;
    if (!json_is_array(claim))
        return -EBADMSG;
    size_t i;
    json_t *item;
    json_array_foreach(claim, i, item)
    {
        enum room_source source;
        if (!json_is_string(item))
            return -EBADMSG;
        // a source of later versions grants nothing here
        if (token_source_parse(bytes_of(json_string_value(item), json_string_length(item)),
                               &source) == 0)
            *denied &= (uint8_t) ~(1u << source);
    }
    return 0;
}

static int take_texts(json_t *claims, struct token_grants *grants)
{
    static const char *const identities[] = { "user", "identity", "sub" };
    if (take_text(claims, "room", grants->room) < 0 ||
        take_text(claims, "name", grants->name) < 0 || take_text(claims, "jti", grants->id) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < array_size(identities) && !grants->user[0]; i++) {
        if (take_text(claims, identities[i], grants->user) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int take_grants(json_t *claims, struct token_grants *grants)
{
    bool moderate = false;
    if (take_flag(claims, "moderator", &grants->moderator) < 0 ||
        take_flag(claims, "moderate", &moderate) < 0 ||
        take_flag(claims, "admin", &grants->admin) < 0 ||
        take_flag(claims, "record", &grants->record) < 0 ||
        take_flag(claims, "hidden", &grants->hidden) < 0 ||
        take_denial(claims, "join", &grants->join_denied) < 0 ||
        take_denial(claims, "subscribe", &grants->denials.subscribe) < 0 ||
        take_denial(claims, "data", &grants->denials.data) < 0)
        return -EBADMSG;
    grants->moderator = grants->moderator || moderate;
    return take_publish(claims, &grants->denials.publish);
}

int token_claims_read(json_t *claims, uint64_t now_unix_s, uint64_t skew_s,
                      struct token_grants *ret_grants)
{
    struct token_grants grants = { 0 };
    uint64_t not_before = 0;
    if (!json_is_object(claims) || take_texts(claims, &grants) < 0 ||
        take_grants(claims, &grants) < 0 || take_time(claims, "exp", &grants.expires_unix_s) < 0 ||
        take_time(claims, "iat", &grants.issued_unix_s) < 0 ||
        take_time(claims, "nbf", &not_before) < 0)
        return -EBADMSG;
    if (json_object_get(claims, "exp") && grants.expires_unix_s + skew_s <= now_unix_s)
        return -ETIME;
    if (not_before > now_unix_s + skew_s)
        return -EAGAIN;
    *ret_grants = grants;
    return 0;
}

static void put_text(json_t *claims, const char *name, const char *value)
{
    if (value[0])
        json_object_set_new(claims, name, json_string(value));
}

static void put_flag(json_t *claims, const char *name, bool when, bool value)
{
    if (when)
        json_object_set_new(claims, name, json_boolean(value));
}

static void put_publish(json_t *claims, uint8_t denied)
{
    if (!denied)
        return;
    json_t *sources = json_array();
    for (unsigned i = 0; i < ROOM_SOURCE_COUNT; i++) {
        if (!(denied & (1u << i)))
            json_array_append_new(sources, json_string(source_names[i]));
    }
    json_object_set_new(claims, "publish", sources);
}

json_t *token_claims_write(const struct token_grants *grants, uint64_t now_unix_s)
{
    json_t *claims = json_object();
    put_text(claims, "room", grants->room);
    put_text(claims, "user", grants->user);
    put_text(claims, "name", grants->name);
    put_text(claims, "jti", grants->id);
    put_flag(claims, "join", grants->join_denied, false);
    put_publish(claims, grants->denials.publish);
    put_flag(claims, "subscribe", grants->denials.subscribe, false);
    put_flag(claims, "data", grants->denials.data, false);
    put_flag(claims, "moderator", grants->moderator, true);
    put_flag(claims, "record", grants->record, true);
    put_flag(claims, "hidden", grants->hidden, true);
    put_flag(claims, "admin", grants->admin, true);
    json_object_set_new(claims, "iat", json_integer((json_int_t)now_unix_s));
    if (grants->expires_unix_s)
        json_object_set_new(claims, "exp", json_integer((json_int_t)grants->expires_unix_s));
    return claims;
}
