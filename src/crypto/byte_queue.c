#include "crypto/byte_queue_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

// A small record and its like.
#define CAPACITY_MIN 256

uint8_t *byte_queue_extend(struct byte_queue *queue, size_t size)
{
    if (queue->capacity - queue->end < size && queue->begin > 0) {
        memmove(queue->data, queue->data + queue->begin, byte_queue_size(queue));
        queue->end -= queue->begin;
        queue->begin = 0;
    }
    if (queue->capacity - queue->end < size) {
        size_t wanted = max_of(queue->end + size, queue->capacity * 2);
        queue->capacity = max_of(wanted, (size_t)CAPACITY_MIN);
        queue->data = memory_resize(queue->data, queue->capacity);
    }
    queue->end += size;
    return queue->data + queue->end - size;
}

void byte_queue_add(struct byte_queue *queue, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(byte_queue_extend(queue, bytes.size), bytes.data, bytes.size);
}

void byte_queue_remove(struct byte_queue *queue, size_t size)
{
    ensure(size <= byte_queue_size(queue));
    queue->begin += size;
    if (queue->begin == queue->end)
        byte_queue_done(queue);
}

void byte_queue_done(struct byte_queue *queue)
{
    free(queue->data);
    *queue = (struct byte_queue){ 0 };
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *ret_written)
{
    struct byte_queue_pair *pair = BIO_get_data(bio);
    byte_queue_add(pair->output, bytes_of(data, size));
    *ret_written = size;
    return 1;
}

static int bio_read(BIO *bio, char *data, size_t size, size_t *ret_read)
{
    struct byte_queue_pair *pair = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct bytes waiting = byte_queue_view(pair->input);
    size_t count = min_of(waiting.size, size);
    if (!waiting.data || count == 0) {
        BIO_set_retry_read(bio);
        *ret_read = 0;
        return 0;
    }
    memcpy(data, waiting.data, count);
    byte_queue_remove(pair->input, count);
    *ret_read = count;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *byte_queue_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "byte queue");
    ensure(method);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

BIO *byte_queue_bio(const BIO_METHOD *method, struct byte_queue_pair *pair)
{
    BIO *bio = BIO_new(method);
    ensure(bio);
    BIO_set_data(bio, pair);
    BIO_set_init(bio, 1);
    return bio;
}
