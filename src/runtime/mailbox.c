#include "runtime/mailbox.h"

#include <errno.h>
#include <string.h>

static void on_rung(struct wakeup *wakeup)
{
    struct mailbox *mailbox = container_of(wakeup, struct mailbox, wakeup);
    struct runtime_metrics *metrics = &mailbox->loop->metrics;
    for (size_t left = MAILBOX_TURN_MAX; left > 0; left--) {
        const struct message *message = ring_front(&mailbox->ring);
        if (!message)
            break;
        runtime_count(metrics, RUNTIME_MAILBOX_RECEIVED, 1);
        mailbox->ops->received(mailbox->owner, message);
        ring_pop(&mailbox->ring);
    }
    metric_set(&metrics->values[RUNTIME_MAILBOX_REFUSED],
               atomic_load_explicit(&mailbox->ring.refused, memory_order_relaxed));
    if (ring_front(&mailbox->ring))
        wakeup_ring(wakeup);
}

int mailbox_init(struct mailbox *mailbox, struct loop *loop, size_t capacity,
                 const struct mailbox_ops *ops, void *owner)
{
    *mailbox = (struct mailbox){ .loop = loop, .ops = ops, .owner = owner };
    int error = wakeup_init(&mailbox->wakeup, loop, on_rung);
    if (error < 0)
        return error;
    ring_init(&mailbox->ring, sizeof(struct message), capacity);
    return 0;
}

void mailbox_done(struct mailbox *mailbox)
{
    if (!mailbox->ring.slots)
        return;
    const struct message *message;
    while ((message = ring_front(&mailbox->ring))) {
        if (mailbox->ops->discard)
            mailbox->ops->discard(mailbox->owner, message);
        ring_pop(&mailbox->ring);
    }
    ring_done(&mailbox->ring);
    wakeup_done(&mailbox->wakeup);
}

int mailbox_send(struct mailbox *mailbox, uint32_t type, const void *body, size_t size)
{
    ensure(size <= MAILBOX_BODY_MAX);
    struct ring_claim claim = ring_claim(&mailbox->ring);
    struct message *message = claim.slot;
    if (!message)
        return -ENOSPC;
    message->type = type;
    message->size = (uint32_t)size;
    if (size > 0)
        memcpy(message->body, body, size);
    ring_publish(&mailbox->ring, claim);
    wakeup_ring(&mailbox->wakeup);
    return 0;
}
