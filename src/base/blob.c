#include "base/blob.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct blob {
    _Atomic uint32_t references;
    size_t size;
    uint8_t bytes[];
};

struct blob *blob_new_uninit(size_t size, uint8_t **ret_at)
{
    struct blob *blob = size <= SIZE_MAX - sizeof(*blob) ? malloc(sizeof(*blob) + size) : NULL;
    if (!blob)
        return NULL;
    atomic_init(&blob->references, 1);
    blob->size = size;
    *ret_at = blob->bytes;
    return blob;
}

struct blob *blob_new(struct bytes bytes)
{
    uint8_t *at;
    struct blob *blob = blob_new_uninit(bytes.size, &at);
    if (blob && bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return blob;
}

struct blob *blob_resize(struct blob *blob, size_t size, uint8_t **ret_at)
{
    ensure(atomic_load_explicit(&blob->references, memory_order_relaxed) == 1);
    struct blob *resized =
        size <= SIZE_MAX - sizeof(*blob) ? realloc(blob, sizeof(*blob) + size) : NULL;
    if (!resized && size > blob->size)
        return NULL;
    if (!resized)
        resized = blob;
    resized->size = size;
    *ret_at = resized->bytes;
    return resized;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    return blob;
}

struct blob *blob_unref(struct blob *blob)
{
    // release: our reads end before the memory is freed; acquire: so did everybody else's
    if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1)
        free(blob);
    return NULL;
}

struct bytes blob_bytes(const struct blob *blob)
{
    return bytes_of(blob->bytes, blob->size);
}
