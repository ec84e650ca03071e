// Messages to peers that are not there yet: clients rely on it that they come through when the
// other one connects within seconds, in whatever order two pages are opened.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/peerjs/peerjs_int.h"

/** Of one sender: the offers of a mesh and their candidates. */
#define SENDER_COUNT_MAX 128
#define SENDER_SIZE_MAX  ((size_t)512 << 10)
/** For one receiver, whom a whole mesh calls: whoever it is, there is room for others. */
#define RECEIVER_COUNT_MAX 512
#define RECEIVER_SIZE_MAX  ((size_t)1 << 20)

/** A name that nobody has, and what waits for it. It is gone with the last message. */
struct peerjs_receiver {
    char name[PEERJS_NAME_SIZE];
    struct list waiting; /**< struct peerjs_waiting, the oldest first */
    size_t count;        /**< of them */
    size_t size;         /**< bytes that they hold */
};

/** In three lists, so that nobody's messages are looked for among those of strangers. */
struct peerjs_waiting {
    struct list node;      /**< in the engine's */
    struct list from_node; /**< in its sender's */
    struct list to_node;   /**< in its receiver's */
    struct peerjs_peer *from;
    struct peerjs_receiver *to;
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

/** As if each message had a receiver of its own, which most share. */
static size_t held_size(size_t text_size)
{
    return sizeof(struct peerjs_waiting) + sizeof(struct peerjs_receiver) + text_size;
}

static struct peerjs_receiver *find_receiver(const struct signal_peerjs *peerjs, const char *name)
{
    return map_find(&peerjs->receivers, bytes_of_text(name));
}

static struct peerjs_receiver *make_receiver(struct signal_peerjs *peerjs, const char *name)
{
    struct peerjs_receiver *receiver = find_receiver(peerjs, name);
    if (receiver)
        return receiver;
    receiver = memory_new(struct peerjs_receiver);
    snprintf(receiver->name, sizeof(receiver->name), "%s", name);
    list_init(&receiver->waiting);
    map_set(&peerjs->receivers, bytes_of_text(receiver->name), receiver);
    return receiver;
}

static void remove_waiting(struct peerjs_waiting *waiting)
{
    struct signal_peerjs *peerjs = waiting->from->peerjs;
    size_t size = held_size(waiting->size);
    peerjs->held_size -= size;
    waiting->from->waiting_count--;
    waiting->from->waiting_size -= size;
    waiting->to->count--;
    waiting->to->size -= size;
    list_remove(&waiting->node);
    list_remove(&waiting->from_node);
    list_remove(&waiting->to_node);
    if (list_empty(&waiting->to->waiting)) {
        map_remove(&peerjs->receivers, bytes_of_text(waiting->to->name));
        free(waiting->to);
    }
    free(waiting->text);
    free(waiting);
}

/** Whether there is room for `size` bytes more, which are held then; `ret_why` says why not. */
static bool take_room(struct peerjs_peer *peer, const char *to, size_t size,
                      enum peerjs_metric *ret_why)
{
    const struct peerjs_receiver *receiver = find_receiver(peer->peerjs, to);
    if (peer->waiting_count >= SENDER_COUNT_MAX || peer->waiting_size + size > SENDER_SIZE_MAX)
        *ret_why = PEERJS_METRIC_DROPPED_SENDER_FULL;
    else if (receiver &&
             (receiver->count >= RECEIVER_COUNT_MAX || receiver->size + size > RECEIVER_SIZE_MAX))
        *ret_why = PEERJS_METRIC_DROPPED_RECEIVER_FULL;
    else if (!peerjs_hold(peer->peerjs, size))
        *ret_why = PEERJS_METRIC_DROPPED_FULL;
    else
        return true;
    return false;
}

bool peerjs_waiting_add(struct peerjs_peer *peer, uint64_t now_us, const char *to,
                        struct bytes text)
{
    struct signal_peerjs *peerjs = peer->peerjs;
    size_t size = held_size(text.size);
    enum peerjs_metric why;
    if (!take_room(peer, to, size, &why)) {
        peerjs_count(peerjs, why);
        return false;
    }
    struct peerjs_waiting *waiting = memory_new(struct peerjs_waiting);
    *waiting = (struct peerjs_waiting){ .from = peer,
                                        .to = make_receiver(peerjs, to),
                                        .text = memory_copy(text.data, text.size),
                                        .size = text.size,
                                        .deadline_us = now_us + peerjs->config.expire_us };
    list_append(&peerjs->waiting, &waiting->node);
    list_append(&peer->waiting, &waiting->from_node);
    list_append(&waiting->to->waiting, &waiting->to_node);
    peer->waiting_count++;
    peer->waiting_size += size;
    waiting->to->count++;
    waiting->to->size += size;
    return true;
}

bool peerjs_waiting_has(const struct peerjs_peer *peer, const char *to)
{
    const struct peerjs_waiting *waiting;
    list_each(waiting, &peer->waiting, from_node)
    {
        if (strcmp(waiting->to->name, to) == 0)
            return true;
    }
    return false;
}

/** Its sender says it again, for the last time: so nothing comes to wait meanwhile. */
static void run(struct peerjs_waiting *waiting, uint64_t now_us)
{
    struct peerjs_message message;
    enum peerjs_problem problem;
    struct bytes text = bytes_of(waiting->text, waiting->size);
    // it was read before, so it can be read again
    if (peerjs_read(text, &message, &problem) == 0) {
        peerjs_handle(waiting->from, now_us, &message, text, true);
        peerjs_message_done(&message);
    }
    remove_waiting(waiting);
}

void peerjs_waiting_deliver(struct signal_peerjs *peerjs, uint64_t now_us, const char *to)
{
    struct peerjs_receiver *receiver;
    while ((receiver = find_receiver(peerjs, to)))
        run(container_of(receiver->waiting.next, struct peerjs_waiting, to_node), now_us);
}

void peerjs_waiting_expire(struct signal_peerjs *peerjs, uint64_t now_us)
{
    while (peerjs_waiting_deadline(peerjs) <= now_us) {
        // a user of another language may have come meanwhile
        run(container_of(peerjs->waiting.next, struct peerjs_waiting, node), now_us);
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
    list_each(waiting, &peer->waiting, from_node) remove_waiting(waiting);
}
