#include "signal/native/native_replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define COUNT_MIN 8

struct native_body *native_body_new(struct bytes text, uint64_t reply_to)
{
    ensure(text.size >= 2 && text.data[0] == '{');
    struct native_body *body = memory_allocate(1, sizeof(*body) + text.size);
    body->references = 1;
    body->reply_to = reply_to;
    body->size = text.size;
    memcpy(body->text, text.data, text.size);
    return body;
}

struct native_body *native_body_take(struct native_body *body)
{
    body->references++;
    return body;
}

void native_body_release(struct native_body *body)
{
    if (body && --body->references == 0)
        free(body);
}

void native_replay_init(struct native_replay *replay)
{
    *replay = (struct native_replay){ .next_seq = 1 };
}

static struct native_body **at(const struct native_replay *replay, size_t place)
{
    return &replay->items[(replay->first + place) & (replay->capacity - 1)];
}

static void drop_oldest(struct native_replay *replay)
{
    struct native_body *oldest = *at(replay, 0);
    replay->bytes -= oldest->size;
    native_body_release(oldest);
    replay->first = (replay->first + 1) & (replay->capacity - 1);
    replay->count--;
}

void native_replay_done(struct native_replay *replay)
{
    while (replay->count > 0)
        drop_oldest(replay);
    free(replay->items);
    *replay = (struct native_replay){ .next_seq = replay->next_seq };
}

static void grow(struct native_replay *replay)
{
    size_t capacity = max_of(replay->capacity * 2, (size_t)COUNT_MIN);
    struct native_body **items = memory_new_array(struct native_body *, capacity);
    for (size_t i = 0; i < replay->count; i++)
        items[i] = *at(replay, i);
    free(replay->items);
    replay->items = items;
    replay->capacity = capacity;
    replay->first = 0;
}

uint64_t native_replay_add(struct native_replay *replay, struct native_body *body, size_t bytes_max)
{
    if (replay->count == replay->capacity)
        grow(replay);
    *at(replay, replay->count++) = native_body_take(body);
    replay->bytes += body->size;
    // the newest stays however long it is: a large answer must survive a drop, too
    while (replay->bytes > bytes_max && replay->count > 1)
        drop_oldest(replay);
    return replay->next_seq++;
}

uint64_t native_replay_oldest(const struct native_replay *replay)
{
    return replay->next_seq - replay->count;
}

void native_replay_confirm(struct native_replay *replay, uint64_t seq)
{
    while (replay->count > 0 && native_replay_oldest(replay) <= seq)
        drop_oldest(replay);
    // what a burst of joins took goes back: sessions are mostly silent
    if (replay->count == 0 && replay->capacity > COUNT_MIN) {
        free(replay->items);
        replay->items = NULL;
        replay->capacity = 0;
        replay->first = 0;
    }
}

bool native_replay_reaches(const struct native_replay *replay, uint64_t seq)
{
    return seq < replay->next_seq && seq + 1 >= native_replay_oldest(replay);
}

struct native_body *native_replay_get(const struct native_replay *replay, uint64_t seq)
{
    uint64_t oldest = native_replay_oldest(replay);
    ensure(seq >= oldest && seq < replay->next_seq);
    return *at(replay, (size_t)(seq - oldest));
}

uint64_t native_replay_find_reply(const struct native_replay *replay, uint64_t request_id)
{
    for (size_t i = replay->count; i-- > 0;) {
        if ((*at(replay, i))->reply_to == request_id)
            return native_replay_oldest(replay) + i;
    }
    return 0;
}
