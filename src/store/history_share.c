#include "store/history_share.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "store/history.h"

/** Names of guests and of users are different ones. */
struct key {
    char text[1 + HISTORY_NAME_SIZE];
    size_t size;
};

static struct key key_of(const char *name, bool is_guest)
{
    struct key key = { .text = { is_guest ? '?' : '!' } };
    size_t length = name ? strnlen(name, HISTORY_NAME_SIZE) : 0;
    if (name)
        memcpy(key.text + 1, name, length);
    key.size = 1 + length;
    return key;
}

static bool has_room(const struct history_amount *amount, const struct history_amount *max,
                     uint64_t part, size_t bytes)
{
    return amount->count < max_of(max->count / part, (uint64_t)1) &&
           (amount->count == 0 || amount->bytes + bytes <= max->bytes / part);
}

static void add(struct history_amount *amount, size_t bytes)
{
    amount->count++;
    amount->bytes += bytes;
}

static void subtract(struct history_amount *amount, size_t bytes)
{
    ensure(amount->count > 0 && amount->bytes >= bytes);
    amount->count--;
    amount->bytes -= bytes;
}

void history_shares_init(struct history_shares *shares, const uint64_t secret[2],
                         struct history_amount max)
{
    *shares = (struct history_shares){ .max = max };
    map_init(&shares->senders, secret);
}

void history_shares_done(struct history_shares *shares)
{
    size_t cursor = 0;
    void *sender;
    while (map_next(&shares->senders, &cursor, NULL, &sender))
        free(sender);
    map_done(&shares->senders);
}

bool history_shares_take(struct history_shares *shares, const char *name, bool is_guest,
                         size_t bytes)
{
    static const struct history_amount nothing;
    struct key key = key_of(name, is_guest);
    struct history_amount *sender = map_find(&shares->senders, bytes_of(key.text, key.size));
    uint64_t part = is_guest ? HISTORY_SHARE_GUEST : HISTORY_SHARE_USER;
    if (!has_room(sender ? sender : &nothing, &shares->max, part, bytes) ||
        (is_guest && !has_room(&shares->guests, &shares->max, HISTORY_SHARE_GUESTS, bytes)))
        return false;
    if (!sender) {
        sender = memory_new(struct history_amount);
        map_set(&shares->senders, bytes_of(key.text, key.size), sender);
    }
    add(sender, bytes);
    if (is_guest)
        add(&shares->guests, bytes);
    return true;
}

void history_shares_give(struct history_shares *shares, const char *name, bool is_guest,
                         size_t bytes)
{
    struct key key = key_of(name, is_guest);
    struct history_amount *sender = map_find(&shares->senders, bytes_of(key.text, key.size));
    ensure(sender);
    subtract(sender, bytes);
    if (is_guest)
        subtract(&shares->guests, bytes);
    if (sender->count > 0)
        return;
    map_remove(&shares->senders, bytes_of(key.text, key.size));
    free(sender);
}
