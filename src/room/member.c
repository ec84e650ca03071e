#include "room/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "room/directory_int.h"

void room_member_tell_updated(struct room_member *member)
{
    room_tell_of_member(
        member, &(struct room_event){ .kind = ROOM_EVENT_MEMBER_UPDATED, .member = member }, NULL);
}

void room_member_update(struct room_member *member, const char *name, const char *status)
{
    if (name && strcmp(member->name, name) != 0) {
        snprintf(member->name, sizeof(member->name), "%s", name);
        if (member->publication_count > 0) // others may follow it by its name
            room_mark_slots(member->room);
    }
    if (status)
        snprintf(member->status, sizeof(member->status), "%s", status);
    if (name || status)
        room_member_tell_updated(member);
}

void room_member_set_away(struct room_member *member, bool away)
{
    if (member->away == away)
        return;
    member->away = away;
    room_member_tell_updated(member);
}

/** ---- publications ---- */

static void tell_publication(struct room_publication *publication, enum room_event_kind kind,
                             const struct room_member *except)
{
    room_broadcast(publication->member->room,
                   &(struct room_event){
                       .kind = kind, .publication = publication, .member = publication->member },
                   except);
}

static void watch_publication(const struct room_publication *publication, enum room_watch_kind kind)
{
    room_watch(publication->member->room, &(struct room_watch_event){ .kind = kind,
                                                                      .member = publication->member,
                                                                      .publication = publication });
}

static void publication_changed(struct room_publication *publication)
{
    room_mark_ranking(publication->member->room);
    tell_publication(publication, ROOM_EVENT_TRACK_UPDATED, NULL);
}

void room_publication_mute(struct room_publication *publication, bool muted)
{
    if (publication->muted == muted)
        return;
    publication->muted = muted;
    publication_changed(publication);
}

void room_member_set_denials(struct room_member *member, const struct room_denials *denials)
{
    struct room_denials before = member->denials;
    member->denials = *denials;
    struct room_publication *publication;
    list_each(publication, &member->publications, member_node)
    {
        uint8_t source = (uint8_t)(1u << publication->source);
        bool denied = denials->publish & source, was_denied = before.publish & source;
        if (denied != was_denied)
            room_set_blocked(publication, denied || member->blocked_kinds[publication->kind]);
    }
    struct media_control *media = member->room->directory->config.media;
    media->data_permit(media, member->media, room_may_send(member));
    room_mark_member_slots(member);
}

static struct room_publication *publish(struct room_member *member,
                                        const struct media_section *section)
{
    struct room *room = member->room;
    struct room_publication *publication = memory_new(struct room_publication);
    publication->member = member;
    publication->kind = section->kind;
    publication->source = ROOM_SOURCE_OTHER;
    publication->order = room->next_order++;
    memcpy(publication->mid, section->mid, sizeof(publication->mid));
    room_make_id(room->directory, 't', publication->id);
    list_append(&member->publications, &publication->member_node);
    member->publication_count++;
    map_set(&room->publications_by_id, bytes_of_text(publication->id), publication);
    publication->blocked = member->blocked_kinds[section->kind];
    room_count(room->directory, ROOM_DIRECTORY_METRIC_PUBLICATIONS, 1);
    return publication;
}

static void unpublish(struct room_publication *publication, bool silent)
{
    struct room_member *member = publication->member;
    struct room *room = member->room;
    list_remove(&publication->member_node);
    member->publication_count--;
    map_remove(&room->publications_by_id, bytes_of_text(publication->id));
    metric_subtract(&room->directory->metrics[ROOM_DIRECTORY_METRIC_PUBLICATIONS], 1);
    room->ranked_valid = false;
    struct room_member *other = NULL;
    while ((other = room_next_member(room, other))) {
        room_slots_vacate(&other->slots, publication);
        if (other->exceptions.count > 0)
            map_remove(&other->exceptions, bytes_of_text(publication->id));
        if (other->wishes.count > 0)
            free(map_remove(&other->wishes, bytes_of_text(publication->id)));
    }
    if (publication->speaking)
        room_mark_speakers(room);
    if (!silent)
        tell_publication(publication, ROOM_EVENT_TRACK_UNPUBLISHED, member);
    watch_publication(publication, ROOM_WATCH_TRACK_UNPUBLISHED);
    room_mark_slots(room);
    free(publication);
}

struct room_publication *room_member_find_mid(const struct room_member *member, const char *mid)
{
    struct room_publication *publication;
    list_each(publication, &member->publications, member_node)
    {
        if (strcmp(publication->mid, mid) == 0)
            return publication;
    }
    return NULL;
}

void room_member_close_media(struct room_member *member, bool silent)
{
    struct room_publication *publication;
    list_each(publication, &member->publications, member_node) unpublish(publication, silent);
    room_slots_done(&member->slots);
    member->asked_audio = member->asked_video = 0;
    if (!member->media)
        return;
    struct room_directory *directory = member->room->directory;
    map_remove(&directory->by_media, map_key_u64(&member->media));
    directory->config.media->session_close(directory->config.media, member->media);
    member->media = 0;
    member->media_state = ROOM_MEDIA_NONE;
}

/** ---- subscriptions ---- */

/** Whether a member wants a publication when nothing was said of that one. */
static bool wants_unasked(const struct room_member *member,
                          const struct room_publication *publication)
{
    return member->follows[0] ? strcmp(publication->member->name, member->follows) == 0
                              : member->auto_subscribe;
}

bool room_member_wants(const struct room_member *member, const struct room_publication *publication)
{
    if (member->denials.subscribe)
        return false;
    bool wanted = wants_unasked(member, publication);
    if (member->exceptions.count == 0)
        return wanted;
    bool differs = map_find(&member->exceptions, bytes_of_text(publication->id)) != NULL;
    return wanted != differs;
}

bool room_member_asked_for(const struct room_member *member,
                           const struct room_publication *publication)
{
    return !wants_unasked(member, publication) ||
           room_member_wish_of(member, publication).priority > MEDIA_WISH_PRIORITY;
}

void room_member_subscribe(struct room_member *member, struct room_publication *publication,
                           bool wanted)
{
    if (room_member_wants(member, publication) == wanted)
        return;
    if (wanted != wants_unasked(member, publication))
        map_set(&member->exceptions, bytes_of_text(publication->id), member);
    else
        map_remove(&member->exceptions, bytes_of_text(publication->id));
    room_mark_member_slots(member);
}

/** ---- offers ---- */

static int open_media(struct room_member *member)
{
    struct room_directory *directory = member->room->directory;
    struct media_control *media = directory->config.media;
    struct media_session_config config = {
        .loopback = member->loopback,
        .group = member->room->number,
        .loudest = room_loudest_audio(member->room),
        .member = member->id,
        .data_denied = !room_may_send(member),
        .two_way = member->two_way,
        .playout_delay = room_member_playout_delay(member),
    };
    media_session session;
    int result = media->session_open(media, &config, &session);
    if (result < 0)
        return result;
    member->media = session;
    map_set(&directory->by_media, map_key_u64(&member->media), member);
    return 0;
}

enum room_source room_source_usual(enum media_kind kind)
{
    return kind == MEDIA_AUDIO ? ROOM_SOURCE_MICROPHONE : ROOM_SOURCE_CAMERA;
}

static const struct room_track_offer *find_track(const struct room_offer *offer, const char *mid)
{
    for (size_t i = 0; i < offer->track_count; i++) {
        if (strcmp(offer->tracks[i].mid, mid) == 0)
            return &offer->tracks[i];
    }
    return NULL;
}

/** Takes what the client says about a track. Returns true when something changed. */
static bool describe(struct room_publication *publication, const struct room_track_offer *track)
{
    char name[ROOM_MEMBER_SIZE];
    snprintf(name, sizeof(name), "%s", track->name ? track->name : "");
    bool same = publication->source == track->source && publication->muted == track->muted &&
                publication->encrypted == track->encrypted && strcmp(publication->name, name) == 0;
    publication->source = track->source;
    publication->muted = track->muted;
    publication->encrypted = track->encrypted;
    memcpy(publication->name, name, sizeof(name));
    return !same;
}

static const struct media_section *find_published(const struct media_answer *answer,
                                                  const struct room_publication *publication)
{
    for (size_t i = 0; i < answer->section_count; i++) {
        const struct media_section *section = &answer->sections[i];
        if ((section->role & MEDIA_PUBLISH) && section->kind == publication->kind &&
            strcmp(section->mid, publication->mid) == 0)
            return section;
    }
    return NULL;
}

/** Keeps the server from forwarding what is muted, or was named so as to get past the check. */
static void enforce_block(struct room_publication *publication)
{
    struct room_member *member = publication->member;
    if (!room_may_publish(member, publication->source))
        publication->blocked = true;
    struct media_control *media = member->room->directory->config.media;
    if (publication->blocked)
        (void)!media->publication_block(media, member->media, publication->mid, true);
}

static void take_publication(struct room_member *member, const struct media_section *section,
                             const struct room_offer *offer)
{
    const struct room_track_offer *track = find_track(offer, section->mid);
    struct room_publication *publication = room_member_find_mid(member, section->mid);
    if (publication) {
        if (track && describe(publication, track)) {
            enforce_block(publication);
            publication_changed(publication);
        }
        return;
    }
    publication = publish(member, section);
    if (offer->plain)
        publication->source = room_source_usual(section->kind);
    if (track)
        describe(publication, track);
    enforce_block(publication);
    room_mark_ranking(member->room);
    tell_publication(publication, ROOM_EVENT_TRACK_PUBLISHED, member);
    watch_publication(publication, ROOM_WATCH_TRACK_PUBLISHED);
}

static void take_sections(struct room_member *member, const struct room_offer *offer,
                          const struct media_answer *answer)
{
    struct room_publication *publication;
    list_each(publication, &member->publications, member_node)
    {
        if (!find_published(answer, publication))
            unpublish(publication, false);
    }
    for (size_t i = 0; i < answer->section_count; i++) {
        const struct media_section *section = &answer->sections[i];
        if ((section->role & MEDIA_PUBLISH) && section->kind != MEDIA_DATA)
            take_publication(member, section, offer);
    }
    room_slots_update(&member->slots, answer->sections, answer->section_count);
    member->asked_audio = member->slots.audio_count;
    member->asked_video = member->slots.video_count;
}

int room_member_offer(struct room_member *member, const struct room_offer *offer,
                      struct media_answer *ret_answer, const char **ret_problem)
{
    struct room_directory *directory = member->room->directory;
    struct media_control *media = directory->config.media;
    int result = room_offer_check(member, offer, ret_problem);
    if (result < 0)
        return result;
    if (offer->fresh)
        room_member_close_media(member, false);
    bool opened = member->media == 0;
    if (opened && (result = open_media(member)) < 0)
        return result;
    struct media_answer answer = { 0 };
    const char *problem = "The session description could not be answered.";
    result = media->offer(media, member->media, offer->sdp, &answer, &problem);
    if (result < 0) {
        if (result == -ENOENT)
            problem = "The media connection is gone. Offer again with \"fresh\".";
        if (opened || result == -ENOENT)
            room_member_close_media(member, false);
        *ret_problem = problem;
        return -EINVAL;
    }
    room_count(directory, ROOM_DIRECTORY_METRIC_OFFERS, 1);
    if (opened) {
        member->media_state = ROOM_MEDIA_CONNECTING;
        room_member_tell_updated(member);
    }
    take_sections(member, offer, &answer);
    room_member_settle(member, true);
    room_mark_member_slots(member);
    *ret_answer = answer;
    return 0;
}

/** ---- what media reports ---- */

static void set_media_state(struct room_member *member, enum room_media_state state,
                            const char *reason)
{
    if (member->media_state == state)
        return;
    member->media_state = state;
    room_tell(member, &(struct room_event){
                          .kind = ROOM_EVENT_MEDIA_STATE, .member = member, .text = reason });
    room_member_tell_updated(member);
}

static void set_speaking(struct room_publication *publication, uint64_t now_us,
                         const struct media_event *event)
{
    struct room_member *member = publication->member;
    publication->level_dbov = event->level_dbov;
    room_mark_speakers(member->room);
    if (event->speaking && !publication->speaking) {
        member->spoke_us = max_of(now_us, (uint64_t)1);
        room_mark_ranking(member->room);
    }
    publication->speaking = event->speaking;
}

static void track_event(struct room_member *member, uint64_t now_us,
                        const struct media_event *event)
{
    struct room_publication *publication = room_member_find_mid(member, event->mid);
    if (!publication)
        return;
    if (event->kind == MEDIA_EVENT_SPEAKING) {
        set_speaking(publication, now_us, event);
        return;
    }
    if (event->kind == MEDIA_EVENT_LAYERS) {
        memcpy(publication->layers, event->layers, sizeof(publication->layers));
        publication->layers_serial = ++member->room->directory->next_serial;
        return;
    }
    if (event->kind == MEDIA_EVENT_DEMAND) {
        publication->demand = event->demand;
        room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_DEMAND,
                                                .member = member,
                                                .publication = publication });
        return;
    }
    bool live = event->kind == MEDIA_EVENT_TRACK_LIVE;
    if (publication->live != live) {
        publication->live = live;
        tell_publication(publication, ROOM_EVENT_TRACK_UPDATED, NULL);
    }
}

/** A video that the member watches stopped, or goes on. */
static void pause_event(struct room_member *member, const struct media_event *event)
{
    for (size_t i = 0; i < member->slots.count; i++) {
        const struct room_slot *slot = &member->slots.items[i];
        if (strcmp(slot->mid, event->mid) == 0 && slot->filled_by)
            room_tell(member, &(struct room_event){ .kind = ROOM_EVENT_TRACK_PAUSED,
                                                    .member = member,
                                                    .publication = slot->filled_by,
                                                    .pause = event->pause });
    }
}

void room_member_media_event(struct room_member *member, uint64_t now_us,
                             const struct media_event *event)
{
    switch (event->kind) {
    case MEDIA_EVENT_CONNECTED:
        set_media_state(member, ROOM_MEDIA_CONNECTED, NULL);
        break;
    case MEDIA_EVENT_DISCONNECTED:
        set_media_state(member, ROOM_MEDIA_DISCONNECTED, NULL);
        break;
    case MEDIA_EVENT_FAILED:
        room_member_close_media(member, false);
        set_media_state(member, ROOM_MEDIA_FAILED, event->reason);
        break;
    case MEDIA_EVENT_TRACK_LIVE:
    case MEDIA_EVENT_TRACK_SILENT:
    case MEDIA_EVENT_SPEAKING:
    case MEDIA_EVENT_LAYERS:
    case MEDIA_EVENT_DEMAND:
        track_event(member, now_us, event);
        break;
    case MEDIA_EVENT_PAUSED:
        pause_event(member, event);
        break;
    }
}
