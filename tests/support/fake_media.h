/**
 * A media server that only keeps books: it answers offers of the short form below, remembers which
 * publication fills which slot, and fails the test when it is asked for something impossible.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "room/directory.h"
#include "room/media_control.h"
#include "support/check.h"

#define FAKE_MEDIA_EVENTS 64

struct fake_section {
    struct media_section section;
    media_session filled_by; /**< slots: 0 is empty */
    char filled_mid[MEDIA_MID_MAX];
    struct media_wish wish; /**< slots: as told last */
    bool blocked;
};

struct fake_session {
    media_session name;
    struct fake_section *sections;
    size_t count;
    bool publishes;
    char member[16];
    bool data_denied;
    bool two_way;
    struct media_playout_delay playout_delay;
    uint32_t loudest; /**< as it was opened */
};

struct fake_media {
    struct media_control control;
    struct handle_table sessions;
    struct media_event events[FAKE_MEDIA_EVENTS];
    size_t event_count;
    size_t slot_sets;
    uint64_t loudest_group; /**< told last */
    uint32_t loudest;
    uint32_t limit;
    bool refuse_offers;
};

static inline struct fake_media *fake_media_of(struct media_control *control)
{
    return container_of(control, struct fake_media, control);
}

static inline struct fake_session *fake_media_find(struct fake_media *media, media_session session)
{
    return handle_table_find(&media->sessions, session);
}

static inline struct fake_section *fake_session_section(struct fake_session *session,
                                                        const char *mid)
{
    for (size_t i = 0; session && i < session->count; i++) {
        if (strcmp(session->sections[i].section.mid, mid) == 0)
            return &session->sections[i];
    }
    return NULL;
}

static inline int fake_session_open(struct media_control *control,
                                    const struct media_session_config *config,
                                    media_session *ret_session)
{
    struct fake_media *media = fake_media_of(control);
    if (media->limit && media->sessions.count >= media->limit)
        return -ENOSPC;
    struct fake_session *session = memory_new(struct fake_session);
    session->name = handle_table_add(&media->sessions, session);
    assert_true(session->name != 0);
    snprintf(session->member, sizeof(session->member), "%s", config->member);
    session->data_denied = config->data_denied;
    session->two_way = config->two_way;
    session->playout_delay = config->playout_delay;
    session->loudest = config->loudest;
    *ret_session = session->name;
    return 0;
}

static inline void fake_session_free(struct fake_session *session)
{
    if (session)
        free(session->sections);
    free(session);
}

static inline void fake_session_close(struct media_control *control, media_session session)
{
    struct fake_media *media = fake_media_of(control);
    struct fake_session *closed = handle_table_remove(&media->sessions, session), *other;
    bool published = closed && closed->publishes;
    fake_session_free(closed);
    uint32_t cursor = 0;
    while (published && (other = handle_table_next(&media->sessions, &cursor, NULL))) {
        for (size_t i = 0; i < other->count; i++) {
            if (other->sections[i].filled_by == session)
                other->sections[i].filled_by = 0;
        }
    }
}

/** Reads "m=", "a=mid:" and the direction of each section. */
static inline void fake_read_offer(struct bytes sdp, struct fake_session *session)
{
    struct fake_session old = *session;
    struct fake_section *current = NULL;
    session->sections = NULL;
    session->count = 0;
    while (sdp.size > 0) {
        struct bytes line = text_trim(text_take_until(&sdp, '\n'));
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (text_starts_with(line, "m=")) {
            session->sections = memory_resize(session->sections,
                                              (session->count + 1) * sizeof(session->sections[0]));
            current = &session->sections[session->count++];
            *current = (struct fake_section){ 0 };
            current->section.kind = text_starts_with(line, "m=audio") ? MEDIA_AUDIO : MEDIA_VIDEO;
            current->section.role = MEDIA_PUBLISH;
        } else if (current && text_starts_with(line, "a=mid:")) {
            snprintf(current->section.mid, MEDIA_MID_MAX, "%.*s", (int)line.size - 6,
                     (const char *)line.data + 6);
            const struct fake_section *before = fake_session_section(&old, current->section.mid);
            if (before) {
                current->filled_by = before->filled_by;
                memcpy(current->filled_mid, before->filled_mid, MEDIA_MID_MAX);
                current->blocked = before->blocked;
            }
        } else if (current && text_equal(line, "a=sendrecv")) {
            current->section.role = session->two_way ? MEDIA_BOTH : MEDIA_PUBLISH;
        } else if (current && text_equal(line, "a=recvonly")) {
            current->section.role = MEDIA_SLOT;
        } else if (current && text_equal(line, "a=inactive")) {
            current->section.role = MEDIA_INACTIVE;
        }
    }
    free(old.sections);
    for (size_t i = 0; i < session->count; i++)
        session->publishes |= (session->sections[i].section.role & MEDIA_PUBLISH) != 0;
}

static inline int fake_offer(struct media_control *control, media_session name, struct bytes sdp,
                             struct media_answer *ret_answer, const char **ret_problem)
{
    struct fake_media *media = fake_media_of(control);
    struct fake_session *session = fake_media_find(media, name);
    if (!session)
        return -ENOENT;
    if (media->refuse_offers) {
        *ret_problem = "The fake server does not like this offer.";
        return -EINVAL;
    }
    fake_read_offer(sdp, session);
    struct media_answer answer = { .section_count = session->count };
    answer.sdp = memory_copy("v=0\r\nanswer\r\n", 13);
    answer.sections = memory_new_array(struct media_section, session->count + 1);
    for (size_t i = 0; i < session->count; i++)
        answer.sections[i] = session->sections[i].section;
    *ret_answer = answer;
    return 0;
}

static inline int fake_slot_set(struct media_control *control, media_session subscriber,
                                const char *slot_mid, media_session publisher,
                                const char *publish_mid)
{
    struct fake_media *media = fake_media_of(control);
    struct fake_section *slot = fake_session_section(fake_media_find(media, subscriber), slot_mid);
    assert_non_null(slot);
    assert_true(slot->section.role & MEDIA_SLOT);
    media->slot_sets++;
    slot->filled_by = publisher;
    if (!publisher)
        return 0;
    const struct fake_section *from =
        fake_session_section(fake_media_find(media, publisher), publish_mid);
    assert_non_null(from);
    assert_true(from->section.role & MEDIA_PUBLISH);
    assert_int_equal(from->section.kind, slot->section.kind);
    snprintf(slot->filled_mid, MEDIA_MID_MAX, "%s", publish_mid);
    return 0;
}

static inline int fake_slot_wish(struct media_control *control, media_session subscriber,
                                 const char *slot_mid, const struct media_wish *wish)
{
    struct fake_section *slot =
        fake_session_section(fake_media_find(fake_media_of(control), subscriber), slot_mid);
    assert_non_null(slot);
    assert_true(slot->section.role & MEDIA_SLOT);
    slot->wish = *wish;
    return 0;
}

static inline int fake_publication_block(struct media_control *control, media_session publisher,
                                         const char *publish_mid, bool blocked)
{
    struct fake_section *section =
        fake_session_section(fake_media_find(fake_media_of(control), publisher), publish_mid);
    assert_non_null(section);
    section->blocked = blocked;
    return 0;
}

static inline void fake_data_permit(struct media_control *control, media_session name,
                                    bool may_send)
{
    struct fake_session *session = fake_media_find(fake_media_of(control), name);
    if (session)
        session->data_denied = !may_send;
}

static inline void fake_playout_delay(struct media_control *control, media_session name,
                                      struct media_playout_delay delay)
{
    struct fake_session *session = fake_media_find(fake_media_of(control), name);
    if (session)
        session->playout_delay = delay;
}

static inline void fake_group_loudest(struct media_control *control, uint64_t group,
                                      uint32_t loudest)
{
    struct fake_media *media = fake_media_of(control);
    media->loudest_group = group;
    media->loudest = loudest;
}

static inline int fake_data_send(struct media_control *control, const struct media_data *data)
{
    (void)control;
    assert_true(data->group != 0);
    return 0;
}

static inline bool fake_event(struct media_control *control, struct media_event *ret_event)
{
    struct fake_media *media = fake_media_of(control);
    if (media->event_count == 0)
        return false;
    *ret_event = media->events[0];
    media->event_count--;
    memmove(media->events, media->events + 1, media->event_count * sizeof(media->events[0]));
    return true;
}

static inline void fake_media_init(struct fake_media *media)
{
    *media = (struct fake_media){ .control = { .session_open = fake_session_open,
                                               .session_close = fake_session_close,
                                               .offer = fake_offer,
                                               .slot_set = fake_slot_set,
                                               .slot_wish = fake_slot_wish,
                                               .publication_block = fake_publication_block,
                                               .data_permit = fake_data_permit,
                                               .playout_delay = fake_playout_delay,
                                               .group_loudest = fake_group_loudest,
                                               .data_send = fake_data_send,
                                               .event = fake_event } };
    handle_table_init(&media->sessions, 100000);
}

static inline void fake_media_done(struct fake_media *media)
{
    uint32_t cursor = 0;
    struct fake_session *session;
    while ((session = handle_table_next(&media->sessions, &cursor, NULL)))
        fake_session_free(session);
    handle_table_done(&media->sessions);
}

/** Queues an event of media's. `mid` may be NULL. */
static inline void fake_media_report(struct fake_media *media, enum media_event_kind kind,
                                     media_session session, const char *mid, bool speaking,
                                     uint8_t level)
{
    assert_true(media->event_count < FAKE_MEDIA_EVENTS);
    struct media_event *event = &media->events[media->event_count++];
    *event = (struct media_event){ .kind = kind,
                                   .session = session,
                                   .speaking = speaking,
                                   .level_dbov = level,
                                   .reason = "The fake connection broke." };
    snprintf(event->mid, sizeof(event->mid), "%s", mid ? mid : "");
}

/**
 * An offer from a short form, one letter pair per section: 'a' or 'v', then '+' (sends), '-'
 * (receives), '*' (both) or '0' (inactive). Mids count from 0. The caller frees.
 */
static inline char *fake_offer_text(const char *form)
{
    size_t capacity = 64 + strlen(form) * 48;
    char *text = memory_allocate(1, capacity);
    struct text_builder builder = text_builder_of(text, capacity);
    text_append(&builder, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n");
    unsigned mid = 0;
    for (; form[0] && form[1]; form += 2) {
        text_append_format(&builder, "m=%s 9 x\r\na=mid:%u\r\na=%s\r\n",
                           form[0] == 'a' ? "audio" : "video", mid++,
                           form[1] == '+'   ? "sendonly"
                           : form[1] == '-' ? "recvonly"
                           : form[1] == '*' ? "sendrecv"
                                            : "inactive");
    }
    assert_false(builder.truncated);
    return text;
}

/** Gives rooms what they would be told, and settles them. */
static inline void take_media_events(struct room_directory *rooms, uint64_t now_us)
{
    struct media_control *media = rooms->config.media;
    struct media_event event;
    while (media->event(media, &event))
        room_directory_media_event(rooms, now_us, &event);
    room_directory_settle(rooms, now_us);
}
