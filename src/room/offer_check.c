// What an offer asks for, seen without parsing it whole: enough to refuse it before it is answered.
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "room/directory_int.h"

enum direction {
    DIRECTION_SENDRECV,
    DIRECTION_SENDONLY,
    DIRECTION_RECVONLY,
    DIRECTION_INACTIVE,
};

/** The section that is being read, and what was counted before it. */
struct outline {
    const struct room_member *member;
    const struct room_offer *offer;
    uint32_t sending;
    uint32_t receiving;
    const char *problem; /**< of the first section that may not be published; NULL: none */
    bool in_section;
    bool is_media;
    enum media_kind kind;
    enum direction session; /**< of sections that say nothing */
    enum direction current;
    struct bytes mid;
};

static bool read_direction(struct bytes line, enum direction *ret_direction)
{
    static const char *const names[] = { "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive" };
    for (unsigned i = 0; i < array_size(names); i++) {
        if (text_equal(line, names[i])) {
            *ret_direction = (enum direction)i;
            return true;
        }
    }
    return false;
}

/** What the client calls the section's source, now or before. */
static enum room_source source_of(const struct outline *outline)
{
    for (size_t i = 0; i < outline->offer->track_count; i++) {
        if (text_equal(outline->mid, outline->offer->tracks[i].mid))
            return outline->offer->tracks[i].source;
    }
    const struct room_publication *publication;
    if (!outline->offer->fresh) {
        list_each(publication, &outline->member->publications, member_node)
        {
            if (text_equal(outline->mid, publication->mid))
                return publication->source;
        }
    }
    return outline->offer->plain ? room_source_usual(outline->kind) : ROOM_SOURCE_OTHER;
}

/** A picture is no microphone, whatever its publisher calls it. */
static bool fits_kind(enum room_source source, enum media_kind kind)
{
    switch (source) {
    case ROOM_SOURCE_CAMERA:
    case ROOM_SOURCE_SCREEN:
        return kind == MEDIA_VIDEO;
    case ROOM_SOURCE_MICROPHONE:
    case ROOM_SOURCE_SCREEN_AUDIO:
        return kind == MEDIA_AUDIO;
    default:
        return true;
    }
}

static void check_source(struct outline *outline)
{
    static const char *const problems[ROOM_SOURCE_COUNT] = {
        [ROOM_SOURCE_CAMERA] = "You may not publish a camera in this room.",
        [ROOM_SOURCE_MICROPHONE] = "You may not publish a microphone in this room.",
        [ROOM_SOURCE_SCREEN] = "You may not publish a screen in this room.",
        [ROOM_SOURCE_SCREEN_AUDIO] = "You may not publish a screen's sound in this room.",
        [ROOM_SOURCE_OTHER] = "You may not publish a track of this kind in this room.",
    };
    const struct room_member *member = outline->member;
    if (outline->problem || (!member->hidden && !member->denials.publish))
        return;
    enum room_source source = source_of(outline);
    if (!room_may_publish(member, source))
        outline->problem = problems[source];
    else if (!fits_kind(source, outline->kind))
        outline->problem = "A track's source does not fit its kind.";
}

static void end_section(struct outline *outline)
{
    if (!outline->in_section || !outline->is_media)
        return;
    bool sends = outline->current == DIRECTION_SENDRECV || outline->current == DIRECTION_SENDONLY;
    outline->sending += sends;
    outline->receiving += outline->current == DIRECTION_RECVONLY ||
                          (outline->member->two_way && outline->current == DIRECTION_SENDRECV);
    if (sends)
        check_source(outline);
}

static void begin_section(struct outline *outline, struct bytes line)
{
    end_section(outline);
    bool audio = text_starts_with(line, "m=audio");
    outline->in_section = true;
    outline->is_media = audio || text_starts_with(line, "m=video");
    outline->kind = audio ? MEDIA_AUDIO : MEDIA_VIDEO;
    outline->current = outline->session;
    outline->mid = (struct bytes){ 0 };
}

static void read_outline(struct outline *outline, struct bytes sdp)
{
    while (sdp.size > 0) {
        struct bytes line = text_take_until(&sdp, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (text_starts_with(line, "m="))
            begin_section(outline, line);
        else if (text_starts_with(line, "a=mid:"))
            outline->mid = bytes_of(line.data + 6, line.size - 6);
        else
            read_direction(line, outline->in_section ? &outline->current : &outline->session);
    }
    end_section(outline);
}

int room_offer_check(const struct room_member *member, const struct room_offer *offer,
                     const char **ret_problem)
{
    const struct room_directory_config *limits = &member->room->directory->config;
    struct outline outline = { .member = member, .offer = offer };
    read_outline(&outline, offer->sdp);
    if (outline.problem) {
        *ret_problem = outline.problem;
        return -EACCES;
    }
    if (outline.sending > limits->track_count_max)
        return -E2BIG;
    // the wishes of a kind are never more than its limit, so further slots could not fill
    if (outline.receiving > limits->audio_slot_count_max + limits->video_slot_count_max) {
        *ret_problem = "The offer has more receive-only sections than the server allows. "
                       "See \"limits\" in the reply to \"join\".";
        return -EINVAL;
    }
    return 0;
}
