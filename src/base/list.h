/** Intrusive doubly linked lists. A node that is in no list points to itself. */
#pragma once

#include "base/compiler.h"

struct list {
    struct list *next;
    struct list *previous;
};

static inline void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

static inline void list_prepend(struct list *list, struct list *node)
{
    list_append(list->next, node);
}

/** Takes a node out of its list; harmless for a node that is in none. */
static inline void list_remove(struct list *node)
{
    node->next->previous = node->previous;
    node->previous->next = node->next;
    list_init(node);
}

/** Walks the list; the body may remove the current entry. */
#define list_each(entry, head, member)                                                             \
    for (struct list *entry##_at = (head)->next, *entry##_after = entry##_at->next;                \
         entry##_at != (head) &&                                                                   \
         ((entry) = container_of(entry##_at, typeof(*(entry)), member), true);                     \
         entry##_at = entry##_after, entry##_after = entry##_at->next)
