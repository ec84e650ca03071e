#include "rtc/params.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** Everything the copy points to comes from one block; sections of one list share its copy. */
struct rtc_params {
    _Atomic uint32_t references;
    struct rtc_negotiated negotiated;
    size_t used;
    size_t capacity;
    _Alignas(16) uint8_t block[];
};

static size_t aligned(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/** Of a text that may be NULL, which is then copied as "". */
static size_t text_size(const char *text)
{
    return aligned(text ? strlen(text) + 1 : 1);
}

static size_t list_size(const struct rtc_codec_list *list)
{
    size_t size = aligned(sizeof(*list) + list->count * sizeof(list->codecs[0]));
    for (size_t i = 0; i < list->count; i++)
        size += aligned(list->codecs[i].fmtp.size);
    return size;
}

/** Whether an earlier section has the same list, which is then copied once; its index, or -1. */
static ssize_t same_list_before(const struct rtc_negotiated *negotiated, size_t section)
{
    for (size_t i = section; i > 0; i--) {
        if (negotiated->sections[i - 1].codecs == negotiated->sections[section].codecs)
            return (ssize_t)i - 1;
    }
    return -1;
}

static size_t block_size(const struct rtc_negotiated *negotiated)
{
    size_t size = aligned(negotiated->section_count * sizeof(*negotiated->sections)) +
                  aligned(negotiated->candidate_count * sizeof(*negotiated->candidates)) +
                  aligned(negotiated->fingerprint_count * sizeof(*negotiated->fingerprints)) +
                  text_size(negotiated->local_ufrag) + text_size(negotiated->local_pwd) +
                  text_size(negotiated->remote_ufrag) + text_size(negotiated->remote_pwd);
    for (size_t i = 0; i < negotiated->candidate_count; i++)
        size += aligned(negotiated->candidates[i].size);
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        size += aligned(section->source_count * sizeof(*section->sources)) +
                aligned(section->rid_count * sizeof(*section->rids));
        if (section->codecs && same_list_before(negotiated, i) < 0)
            size += list_size(section->codecs);
    }
    return size;
}

static void *copy(struct rtc_params *params, const void *data, size_t size)
{
    uint8_t *at = params->block + params->used;
    params->used += aligned(size);
    ensure(params->used <= params->capacity);
    if (size > 0)
        memcpy(at, data, size);
    return at;
}

static struct bytes copy_bytes(struct rtc_params *params, struct bytes bytes)
{
    return bytes_of(copy(params, bytes.data, bytes.size), bytes.size);
}

static const char *copy_text(struct rtc_params *params, const char *text)
{
    return text ? copy(params, text, strlen(text) + 1) : copy(params, "", 1);
}

static const struct rtc_codec_list *copy_list(struct rtc_params *params,
                                              const struct rtc_codec_list *list)
{
    struct rtc_codec_list *made =
        copy(params, list, sizeof(*list) + list->count * sizeof(list->codecs[0]));
    for (size_t i = 0; i < made->count; i++)
        made->codecs[i].fmtp = copy_bytes(params, made->codecs[i].fmtp);
    return made;
}

struct rtc_params *rtc_params_new(const struct rtc_negotiated *negotiated)
{
    size_t capacity = block_size(negotiated);
    struct rtc_params *params = memory_allocate(1, sizeof(*params) + capacity);
    params->references = 1;
    params->capacity = capacity;
    params->negotiated = *negotiated;
    struct rtc_negotiated *made = &params->negotiated;
    made->local_ufrag = copy_text(params, made->local_ufrag);
    made->local_pwd = copy_text(params, made->local_pwd);
    made->remote_ufrag = copy_text(params, made->remote_ufrag);
    made->remote_pwd = copy_text(params, made->remote_pwd);
    made->fingerprints = copy(params, negotiated->fingerprints,
                              made->fingerprint_count * sizeof(*made->fingerprints));
    made->candidates =
        copy(params, negotiated->candidates, made->candidate_count * sizeof(*made->candidates));
    for (size_t i = 0; i < made->candidate_count; i++)
        made->candidates[i] = copy_bytes(params, made->candidates[i]);
    made->sections =
        copy(params, negotiated->sections, made->section_count * sizeof(*made->sections));
    for (size_t i = 0; i < made->section_count; i++) {
        struct rtc_section *section = &made->sections[i];
        section->sources =
            copy(params, section->sources, section->source_count * sizeof(*section->sources));
        section->rids = copy(params, section->rids, section->rid_count * sizeof(*section->rids));
        ssize_t same = section->codecs ? same_list_before(negotiated, i) : -1;
        if (same >= 0)
            section->codecs = made->sections[same].codecs;
        else if (section->codecs)
            section->codecs = copy_list(params, section->codecs);
    }
    return params;
}

struct rtc_params *rtc_params_ref(struct rtc_params *params)
{
    atomic_fetch_add_explicit(&params->references, 1, memory_order_relaxed);
    return params;
}

struct rtc_params *rtc_params_unref(struct rtc_params *params)
{
    if (params && atomic_fetch_sub_explicit(&params->references, 1, memory_order_acq_rel) == 1) {
        memory_wipe(params, sizeof(*params) + params->capacity); // ICE passwords
        free(params);
    }
    return NULL;
}

const struct rtc_negotiated *rtc_params_get(const struct rtc_params *params)
{
    return &params->negotiated;
}
