/**
 * Messages between threads: many senders, one receiving loop. A message is a type and a small
 * struct by value. A pointer inside it hands over ownership: the sender forgets the object, the
 * receiver (or the `discard` op at shutdown) frees it. Never send a pointer to something that the
 * sender goes on using, except packet references and immutable data.
 *
 *     struct greeting greeting = { .name = memory_copy("ann", 3) };
 *     if (mailbox_send(to, GREETING, &greeting, sizeof(greeting)) < 0)
 *         free(greeting.name);                            // full: still ours
 *
 * Messages of one sender arrive in their order. Sending takes no lock, allocates nothing, and makes
 * a system call only when the receiver sleeps.
 */
#pragma once

#include "runtime/ring.h"
#include "runtime/wakeup.h"

/** Largest struct by value: sixteen pointers and as much again. */
#define MAILBOX_BODY_MAX 232
/** Messages handled per turn; the rest waits for the next. */
#define MAILBOX_TURN_MAX 256

struct message {
    uint32_t type; /**< an enum of the receiver's */
    uint32_t size; /**< of the body */
    _Alignas(8) uint8_t body[MAILBOX_BODY_MAX];
};

/** The body as the struct that belongs to the type; checks that the size is that struct's. */
#define message_body(message, struct_type)                                                         \
    ((const struct_type *)message_body_checked((message), sizeof(struct_type)))

static inline const void *message_body_checked(const struct message *message, size_t size)
{
    ensure(message->size == size);
    return message->body;
}

struct mailbox_ops {
    /** On the receiving thread, once per message. */
    void (*received)(void *owner, const struct message *message);
    /** For each message that is left at mailbox_done: free what it carries. May be NULL. */
    void (*discard)(void *owner, const struct message *message);
};

struct mailbox {
    struct ring ring;
    struct wakeup wakeup;
    struct loop *loop;
    const struct mailbox_ops *ops;
    void *owner;
};

/** Room for `capacity` messages (256 bytes each). Returns 0 or a negative errno. */
must_check int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t capacity,
                            const struct mailbox_ops *ops, void *owner);
/** When no other thread sends any more. Discards what was not received. Accepts a zeroed one. */
void mailbox_done(struct mailbox *mailbox);
/**
 * Whether half of the mailbox or more is taken, from any thread. Whoever sends what may get lost
 * leaves the other half to messages that may not.
 */
static inline bool mailbox_is_crowded(const struct mailbox *mailbox)
{
    return ring_is_crowded(&mailbox->ring);
}
/**
 * Sends a copy of `size` (<= MAILBOX_BODY_MAX) bytes of `body` from any thread. Returns 0, or
 * -ENOSPC when the mailbox is full (counted; what the body points to is still the sender's).
 */
must_check int mailbox_send(struct mailbox *mailbox, uint32_t type, const void *body, size_t size);
