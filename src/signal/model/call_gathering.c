// Candidates that wait for the description that will hold them.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sdp/sdp_gathered.h"
#include "signal/model/calls_int.h"

_Static_assert(CALL_CANDIDATES_MAX <= SDP_GATHERED_MAX, "all that is kept can be merged");

void call_gathering_init(struct call_gathering *gathering)
{
    *gathering = (struct call_gathering){ 0 };
    list_init(&gathering->node);
}

static void free_kept(struct call_kept_candidate *kept)
{
    free(kept->candidate);
    free(kept->sdp_mid);
    free(kept->username_fragment);
}

void call_gathering_done(struct call_gathering *gathering)
{
    for (size_t i = 0; i < gathering->kept_count; i++)
        free_kept(&gathering->kept[i]);
    free(gathering->kept);
    free(gathering->ufrag);
    free(gathering->waiting_sdp);
    list_remove(&gathering->node);
    call_gathering_init(gathering);
}

static char *copy_text(const char *text)
{
    return text ? memory_copy(text, strlen(text)) : NULL;
}

void call_gathering_keep(struct call_gathering *gathering, const struct call_candidate *candidate)
{
    if (!gathering->kept)
        gathering->kept = memory_new_array(struct call_kept_candidate, CALL_CANDIDATES_MAX);
    if (gathering->kept_count == CALL_CANDIDATES_MAX)
        return;
    gathering->kept[gathering->kept_count++] = (struct call_kept_candidate){
        .candidate = copy_text(candidate->candidate),
        .sdp_mid = copy_text(candidate->sdp_mid),
        .username_fragment = copy_text(candidate->username_fragment),
        .sdp_m_line_index = candidate->sdp_m_line_index,
    };
}

/** Those of `ufrag` came before their description, and stay. */
static void forget_others(struct call_gathering *gathering, const char *ufrag)
{
    size_t stay_count = 0;
    for (size_t i = 0; i < gathering->kept_count; i++) {
        struct call_kept_candidate *kept = &gathering->kept[i];
        if (kept->username_fragment && strcmp(kept->username_fragment, ufrag) == 0)
            gathering->kept[stay_count++] = *kept;
        else
            free_kept(kept);
    }
    gathering->kept_count = stay_count;
}

void call_gathering_follow(struct call_gathering *gathering, const char *sdp)
{
    struct bytes found = sdp_gathered_ufrag(bytes_of_text(sdp));
    char *ufrag = memory_copy(found.data ? found.data : (const uint8_t *)"", found.size);
    if (gathering->ufrag && strcmp(gathering->ufrag, ufrag) != 0) {
        forget_others(gathering, ufrag);
        gathering->is_complete = false;
    }
    free(gathering->ufrag);
    gathering->ufrag = ufrag;
}

char *call_gathering_merge(const struct call_gathering *gathering, const char *sdp)
{
    struct sdp_gathered candidates[CALL_CANDIDATES_MAX];
    for (size_t i = 0; i < gathering->kept_count; i++) {
        const struct call_kept_candidate *kept = &gathering->kept[i];
        candidates[i] = (struct sdp_gathered){ .candidate = bytes_of_text(kept->candidate),
                                               .section = kept->sdp_m_line_index };
        if (kept->sdp_mid)
            candidates[i].mid = bytes_of_text(kept->sdp_mid);
        if (kept->username_fragment)
            candidates[i].ice_ufrag = bytes_of_text(kept->username_fragment);
    }
    return sdp_gathered_into(bytes_of_text(sdp), candidates, gathering->kept_count);
}
