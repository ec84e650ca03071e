// Messages to peers that are not there yet: clients rely on it that they come through when the
// other one connects within seconds, in whatever order two pages are opened.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/peerjs/peerjs_int.h"

/** Of one peer: the offers of a mesh and their candidates. */
#define WAITING_PER_PEER_MAX 128

struct peerjs_waiting {
    struct list node;
    struct peerjs_peer *from;
    char to[PEERJS_NAME_SIZE];
    char *text;
    size_t size;
    uint64_t deadline_us;
};

bool peerjs_hold(struct signal_peerjs *peerjs, size_t size)
{
    if (peerjs->held_size + size > peerjs->config.held_size_max)
        return false;
    peerjs->held_size += size;
    return true;
}

static size_t held_size(const struct peerjs_waiting *waiting)
{
    return sizeof(*waiting) + waiting->size;
}

static void remove_waiting(struct peerjs_waiting *waiting)
{
    waiting->from->peerjs->held_size -= held_size(waiting);
    waiting->from->waiting_count--;
    list_remove(&waiting->node);
    free(waiting->text);
    free(waiting);
}

bool peerjs_waiting_add(struct peerjs_peer *peer, uint64_t now_us, const char *to,
                        struct bytes text)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    if (peer->waiting_count >= WAITING_PER_PEER_MAX ||
        !peerjs_hold(peerjs, sizeof(struct peerjs_waiting) + text.size))
        return false;
    struct peerjs_waiting *waiting = memory_new(struct peerjs_waiting);
    *waiting = (struct peerjs_waiting){ .from = peer,
                                        .text = memory_copy(text.data, text.size),
                                        .size = text.size,
                                        .deadline_us = now_us + peerjs->config.expire_us };
    snprintf(waiting->to, sizeof(waiting->to), "%s", to);
    list_append(&peerjs->waiting, &waiting->node);
    peer->waiting_count++;
    return true;
}

bool peerjs_waiting_has(const struct peerjs_peer *peer, const char *to)
{
    if (peer->waiting_count == 0)
        return false;
    struct peerjs_waiting *waiting;
    list_each(waiting, &peer->peerjs->waiting, node)
    {
        if (waiting->from == peer && strcmp(waiting->to, to) == 0)
            return true;
    }
    return false;
}

/** Its sender says it again. */
static void run(struct peerjs_waiting *waiting, uint64_t now_us, bool last_try)
{
    struct peerjs_message message;
    enum peerjs_problem problem;
    struct peerjs_peer *from = waiting->from;
    struct bytes text = bytes_of(waiting->text, waiting->size);
    // it was read before, so it can be read again
    if (peerjs_read(text, &message, &problem) < 0)
        return;
    peerjs_handle(from, now_us, &message, text, last_try);
    peerjs_message_done(&message);
}

/** The first that waits and passes `is_due`, out of the list so that its run may add others. */
static struct peerjs_waiting *take_first(struct list *list)
{
    struct peerjs_waiting *waiting = container_of(list->next, struct peerjs_waiting, node);
    list_remove(&waiting->node);
    return waiting;
}

void peerjs_waiting_deliver(struct signal_peerjs *peerjs, uint64_t now_us, const char *to)
{
    struct list due;
    list_init(&due);
    struct peerjs_waiting *waiting;
    list_each(waiting, &peerjs->waiting, node)
    {
        if (strcmp(waiting->to, to) != 0)
            continue;
        list_remove(&waiting->node);
        list_append(&due, &waiting->node);
    }
    while (!list_empty(&due)) {
        waiting = take_first(&due);
        run(waiting, now_us, true);
        remove_waiting(waiting);
    }
}

void peerjs_waiting_expire(struct signal_peerjs *peerjs, uint64_t now_us)
{
    while (peerjs_waiting_deadline(peerjs) <= now_us) {
        // a user of another language may have come meanwhile
        struct peerjs_waiting *waiting = take_first(&peerjs->waiting);
        run(waiting, now_us, true);
        remove_waiting(waiting);
    }
}

uint64_t peerjs_waiting_deadline(const struct signal_peerjs *peerjs)
{
    if (list_empty(&peerjs->waiting))
        return TIME_NEVER;
    return container_of(peerjs->waiting.next, struct peerjs_waiting, node)->deadline_us;
}

void peerjs_waiting_forget(struct peerjs_peer *peer)
{
    struct peerjs_waiting *waiting;
    list_each(waiting, &peer->peerjs->waiting, node)
    {
        if (waiting->from == peer)
            remove_waiting(waiting);
    }
}
