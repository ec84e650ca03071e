/** A growing first-in-first-out buffer, and a BIO that reads from one and writes to another. */
#pragma once

#include "crypto/openssl_int.h"

#include "base/bytes.h"

struct byte_queue {
    uint8_t *data;
    size_t capacity;
    size_t begin;
    size_t end;
};

static inline size_t byte_queue_size(const struct byte_queue *queue)
{
    return queue->end - queue->begin;
}

static inline struct bytes byte_queue_view(const struct byte_queue *queue)
{
    return bytes_of(queue->data ? queue->data + queue->begin : NULL, byte_queue_size(queue));
}

void byte_queue_add(struct byte_queue *queue, struct bytes bytes);
/** Makes room for so many bytes (not 0) at the end; they are for the caller to write. */
uint8_t *byte_queue_extend(struct byte_queue *queue, size_t size);
/** Removes from the front; gives all memory back when it gets empty. */
void byte_queue_remove(struct byte_queue *queue, size_t size);
/** Frees its memory; it is empty then. */
void byte_queue_done(struct byte_queue *queue);

/** The two ends of a BIO made by byte_queue_bio; must outlive it. */
struct byte_queue_pair {
    struct byte_queue *input;
    struct byte_queue *output;
};

/** A method for byte_queue_bio; free it with BIO_meth_free after the last BIO. */
BIO_METHOD *byte_queue_bio_method(void);
BIO *byte_queue_bio(const BIO_METHOD *method, struct byte_queue_pair *pair);
