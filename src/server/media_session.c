// Sessions as the control thread wants them: offers, slots, blocks.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/media_host_int.h"

static struct host_session *find_session(struct media_control *control, media_session session)
{
    return handle_table_find(&media_host_of(control)->sessions, session);
}

int media_session_open(struct media_control *control, const struct media_session_config *config,
                       media_session *ret_session)
{
    struct media_host *host = media_host_of(control);
    // which worker it will be, the kernel decides later: one with room is hope enough
    if (atomic_load(&host->shared.full) >= host->shared.count)
        return -ENOSPC;
    struct host_session *session = memory_new(struct host_session);
    session->session = handle_table_add(&host->sessions, session);
    if (session->session == 0) {
        free(session);
        return -ENOSPC;
    }
    session->loopback = config->loopback;
    session->two_way = config->two_way;
    session->playout_delay = config->playout_delay;
    session->group = config->group;
    session->loudest = config->loudest;
    session->member.room = config->group;
    session->member.may_send = !config->data_denied;
    snprintf(session->member.id, sizeof(session->member.id), "%s",
             config->member ? config->member : "");
    session->negotiation = rtc_negotiation_new(host->config.random);
    session->claim = media_claim_new();
    list_init(&session->watchers);
    *ret_session = session->session;
    return 0;
}

static void send_slot(struct media_host *host, const struct host_slot *slot)
{
    const struct host_session *publisher = slot->publisher;
    if (!slot->subscriber->adopted || (publisher && !publisher->adopted))
        return; // sent when the missing one is adopted
    struct media_message_slot message = {
        .session = slot->subscriber->session,
        .section = slot->section,
        .wish = slot->wish,
    };
    if (publisher) {
        message.publisher =
            (struct track_key){ .session = publisher->session, .section = slot->publisher_section };
        message.publisher_worker = publisher->worker;
        message.group = publisher->group;
        message.loudest = publisher->loudest;
        message.publisher_params = rtc_params_ref(publisher->params);
    }
    media_host_send(host, slot->subscriber->worker, MEDIA_MESSAGE_SLOT, &message, sizeof(message));
}

static void empty_slot(struct host_slot *slot)
{
    if (slot->publisher)
        list_remove(&slot->watcher);
    slot->publisher = NULL;
    slot->wish = MEDIA_WISH_DEFAULT;
}

void media_session_free(struct media_host *host, struct host_session *session)
{
    struct host_slot *watcher;
    list_each(watcher, &session->watchers, watcher) empty_slot(watcher);
    for (size_t i = 0; i < session->section_count; i++)
        empty_slot(&session->slots[i]);
    media_call_leave(session);
    handle_table_remove(&host->sessions, session->session);
    rtc_negotiation_free(session->negotiation);
    rtc_params_unref(session->params);
    media_claim_unref(session->claim);
    free(session->slots);
    free(session->blocked);
    free(session);
}

void media_session_close(struct media_control *control, media_session name)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_session(control, name);
    if (!session)
        return;
    // every worker knows the session's ICE fragment
    struct media_message_close message = { .session = name };
    for (uint32_t i = 0; i < host->shared.count; i++)
        media_host_send(host, i, MEDIA_MESSAGE_CLOSE, &message, sizeof(message));
    media_session_free(host, session);
}

static void announce(struct media_host *host, struct host_session *session)
{
    for (uint32_t i = 0; i < host->shared.count; i++) {
        struct media_message_session message = {
            .session = session->session,
            .claim = media_claim_ref(session->claim),
            .params = rtc_params_ref(session->params),
            .member = session->member,
        };
        media_host_send(host, i, MEDIA_MESSAGE_SESSION, &message, sizeof(message));
    }
}

/** Slots may not move in memory while they stand in watchers' lists. */
static void grow_sections(struct host_session *session, size_t count)
{
    if (count <= session->section_count)
        return;
    struct host_slot *slots = memory_new_array(struct host_slot, count);
    bool *blocked = memory_new_array(bool, count);
    for (size_t i = 0; i < count; i++) {
        slots[i] = (struct host_slot){ .subscriber = session,
                                       .section = (uint32_t)i,
                                       .wish = MEDIA_WISH_DEFAULT };
        list_init(&slots[i].watcher);
        if (i >= session->section_count)
            continue;
        blocked[i] = session->blocked[i];
        struct host_slot *old = &session->slots[i];
        if (!old->publisher)
            continue;
        slots[i].publisher = old->publisher;
        slots[i].publisher_section = old->publisher_section;
        slots[i].wish = old->wish;
        list_append(&old->publisher->watchers, &slots[i].watcher);
        empty_slot(old);
    }
    free(session->slots);
    free(session->blocked);
    session->slots = slots;
    session->blocked = blocked;
    session->section_count = count;
}

/** Sections that are no slot or no publication any more show and are shown no longer. */
static void sync_sections(struct host_session *session)
{
    const struct rtc_negotiated *negotiated = rtc_params_get(session->params);
    grow_sections(session, negotiated->section_count);
    for (size_t i = 0; i < negotiated->section_count; i++) {
        if (!rtc_section_is_slot(&negotiated->sections[i]))
            empty_slot(&session->slots[i]);
        // what is published here next is another publication, and the worker sees it so too
        if (!rtc_section_publishes(&negotiated->sections[i]))
            session->blocked[i] = false;
    }
    struct host_slot *watcher;
    list_each(watcher, &session->watchers, watcher)
    {
        if (!rtc_section_publishes(&negotiated->sections[watcher->publisher_section]))
            empty_slot(watcher);
    }
}

/** Whether two sections of one place in the offers have the same payload types. */
static bool same_codecs(const struct rtc_section *before, const struct rtc_section *now)
{
    const struct rtc_codec_list *a = before->codecs, *b = now->codecs;
    if (!a || !b || a->count != b->count)
        return a == b;
    for (size_t i = 0; i < a->count; i++) {
        if (a->codecs[i].codec != b->codecs[i].codec ||
            a->codecs[i].payload_type != b->codecs[i].payload_type ||
            !bytes_equal(a->codecs[i].fmtp, b->codecs[i].fmtp))
            return false;
    }
    return true;
}

/** Slots between two sections map payload types: they hear of it when these have changed. */
static void renew_slots(struct media_host *host, struct host_session *session,
                        const struct rtc_negotiated *before)
{
    const struct rtc_negotiated *now = rtc_params_get(session->params);
    for (size_t i = 0; i < before->section_count; i++) {
        if (same_codecs(&before->sections[i], &now->sections[i]))
            continue;
        if (session->slots[i].publisher)
            send_slot(host, &session->slots[i]);
        struct host_slot *watcher;
        list_each(watcher, &session->watchers, watcher)
        {
            if (watcher->publisher_section == i)
                send_slot(host, watcher);
        }
    }
}

static void data_permit(struct media_control *control, media_session name, bool may_send)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_session(control, name);
    if (!session || session->member.may_send == may_send)
        return;
    session->member.may_send = may_send;
    struct media_message_permit message = { .session = name, .may_send = may_send };
    for (uint32_t i = 0; session->params && i < host->shared.count; i++)
        media_host_send(host, i, MEDIA_MESSAGE_PERMIT, &message, sizeof(message));
}

_Static_assert((int)MEDIA_PUBLISH == (int)RTC_ROLE_PUBLISH &&
                   (int)MEDIA_SLOT == (int)RTC_ROLE_SLOT && (int)MEDIA_BOTH == (int)RTC_ROLE_BOTH,
               "roles are the same bits");

static enum media_kind kind_of(enum rtc_kind kind)
{
    return kind == RTC_KIND_AUDIO ? MEDIA_AUDIO : kind == RTC_KIND_VIDEO ? MEDIA_VIDEO : MEDIA_DATA;
}

static void describe_sections(const struct rtc_negotiated *negotiated, struct media_answer *answer)
{
    answer->section_count = negotiated->section_count;
    answer->sections = memory_new_array(struct media_section, negotiated->section_count);
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        struct media_section *out = &answer->sections[i];
        snprintf(out->mid, sizeof(out->mid), "%s", section->mid);
        out->kind = kind_of(section->kind);
        out->role = (enum media_role)section->role;
    }
}

/** What the client is told: a delay that it has heard of once can only be replaced. */
static struct rtc_playout_delay told_playout_delay(struct host_session *session)
{
    uint16_t delay_ms = min_of(session->playout_delay.ms, (uint16_t)RTC_PLAYOUT_DELAY_MAX_MS);
    if (session->playout_delay.set) {
        session->playout_delay_told = true;
        return (struct rtc_playout_delay){ true, delay_ms, delay_ms };
    }
    return (struct rtc_playout_delay){ session->playout_delay_told, 0,
                                       RTC_PLAYOUT_DELAY_FREE_MAX_MS };
}

static void playout_delay(struct media_control *control, media_session name,
                          struct media_playout_delay delay)
{
    struct host_session *session = find_session(control, name);
    if (!session || (session->playout_delay.set == delay.set &&
                     (!delay.set || session->playout_delay.ms == delay.ms)))
        return;
    session->playout_delay = delay;
    if (!session->params)
        return; // the first answer will say it
    struct rtc_playout_delay told = told_playout_delay(session);
    rtc_negotiation_set_playout_delay(session->negotiation, &told);
    rtc_params_unref(session->params);
    session->params = rtc_params_new(rtc_negotiation_result(session->negotiation));
    announce(media_host_of(control), session);
}

static void group_loudest(struct media_control *control, uint64_t group, uint32_t loudest)
{
    struct media_host *host = media_host_of(control);
    uint32_t cursor = 0;
    struct host_session *session;
    while ((session = handle_table_next(&host->sessions, &cursor, NULL))) {
        if (session->group == group)
            session->loudest = loudest;
    }
    struct media_message_loudest message = { .group = group, .loudest = loudest };
    for (uint32_t i = 0; i < host->shared.count; i++)
        media_host_send(host, i, MEDIA_MESSAGE_LOUDEST, &message, sizeof(message));
}

void media_session_describe(struct media_host *host, struct host_session *session,
                            struct host_local *local)
{
    random_text(host->config.random, local->ufrag, MEDIA_UFRAG_LENGTH);
    random_text(host->config.random, local->pwd, MEDIA_PWD_LENGTH);
    size_t line_count =
        media_candidates_write(&host->candidates, host->shared.port, session->loopback, local->text,
                               sizeof(local->text), local->lines);
    snprintf(local->fingerprint, sizeof(local->fingerprint), "sha-256 %s",
             certificate_fingerprint(host->config.certificate));
    local->local = (struct rtc_negotiation_local){
        .ice_ufrag = bytes_of_text(local->ufrag),
        .ice_pwd = bytes_of_text(local->pwd),
        .candidates = local->lines,
        .candidate_count = line_count,
        .fingerprint = bytes_of_text(local->fingerprint),
        .cname = bytes_of_text("roost"),
        .playout_delay = told_playout_delay(session),
        .two_way = session->two_way,
    };
}

void media_session_agreed(struct media_host *host, struct host_session *session)
{
    struct rtc_params *before = session->params;
    session->params = rtc_params_new(rtc_negotiation_result(session->negotiation));
    sync_sections(session);
    announce(host, session);
    if (before)
        renew_slots(host, session, rtc_params_get(before));
    rtc_params_unref(before);
}

static int offer(struct media_control *control, media_session name, struct bytes sdp,
                 struct media_answer *ret_answer, const char **ret_problem)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_session(control, name);
    if (!session) {
        *ret_problem = "The media session has ended: join again.";
        return -ENOENT;
    }
    struct media_answer answer = { 0 };
    struct host_local local;
    media_session_describe(host, session, &local);
    int error = rtc_negotiation_answer(session->negotiation, &local.local, host->config.random, sdp,
                                       &answer.sdp, ret_problem);
    memory_wipe(&local, sizeof(local));
    if (error)
        return error;
    media_session_agreed(host, session);
    describe_sections(rtc_negotiation_result(session->negotiation), &answer);
    *ret_answer = answer;
    return 0;
}

/** The index of a mid, or -ENOENT when no section of that role has it. */
static int find_section(const struct host_session *session, const char *mid, enum rtc_role role)
{
    if (!session || !session->params)
        return -ENOENT;
    const struct rtc_negotiated *negotiated = rtc_params_get(session->params);
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        if ((section->role & role) && strcmp(section->mid, mid) == 0)
            return (int)i;
    }
    return -ENOENT;
}

void media_session_show(struct media_host *host, struct host_slot *slot,
                        struct host_session *publisher, size_t publisher_section)
{
    empty_slot(slot);
    slot->publisher = publisher;
    if (publisher) {
        slot->publisher_section = (uint32_t)publisher_section;
        list_append(&publisher->watchers, &slot->watcher);
    }
    send_slot(host, slot);
}

static int slot_set(struct media_control *control, media_session subscriber_name,
                    const char *slot_mid, media_session publisher_name, const char *publish_mid)
{
    struct media_host *host = media_host_of(control);
    struct host_session *subscriber = find_session(control, subscriber_name);
    int section = find_section(subscriber, slot_mid, RTC_ROLE_SLOT);
    if (section < 0)
        return section;
    struct host_slot *slot = &subscriber->slots[section];
    if (publisher_name == 0) {
        media_session_show(host, slot, NULL, 0);
        return 0;
    }
    struct host_session *publisher = find_session(control, publisher_name);
    int publisher_section = find_section(publisher, publish_mid, RTC_ROLE_PUBLISH);
    if (publisher_section < 0)
        return publisher_section;
    if (rtc_params_get(publisher->params)->sections[publisher_section].kind !=
        rtc_params_get(subscriber->params)->sections[section].kind)
        return -EINVAL;
    media_session_show(host, slot, publisher, (size_t)publisher_section);
    return 0;
}

static int slot_wish(struct media_control *control, media_session subscriber_name,
                     const char *slot_mid, const struct media_wish *wish)
{
    struct host_session *subscriber = find_session(control, subscriber_name);
    int section = find_section(subscriber, slot_mid, RTC_ROLE_SLOT);
    if (section < 0)
        return section;
    struct host_slot *slot = &subscriber->slots[section];
    if (memcmp(&slot->wish, wish, sizeof(*wish)) == 0)
        return 0;
    slot->wish = *wish;
    if (slot->publisher)
        send_slot(media_host_of(control), slot);
    return 0;
}

static void send_block(struct media_host *host, const struct host_session *session, size_t section)
{
    struct media_message_block message = {
        .session = session->session,
        .section = (uint32_t)section,
        .blocked = session->blocked[section],
    };
    if (session->adopted)
        media_host_send(host, session->worker, MEDIA_MESSAGE_BLOCK, &message, sizeof(message));
}

static int publication_block(struct media_control *control, media_session name, const char *mid,
                             bool blocked)
{
    struct host_session *session = find_session(control, name);
    int section = find_section(session, mid, RTC_ROLE_PUBLISH);
    if (section < 0)
        return section;
    session->blocked[section] = blocked;
    send_block(media_host_of(control), session, (size_t)section);
    return 0;
}

void media_session_adopted(struct media_host *host, handle name, uint32_t worker)
{
    struct host_session *session = handle_table_find(&host->sessions, name);
    if (!session)
        return;
    session->adopted = true;
    session->worker = worker;
    for (size_t i = 0; i < session->section_count; i++) {
        if (session->blocked[i])
            send_block(host, session, i);
        if (session->slots[i].publisher)
            send_slot(host, &session->slots[i]);
    }
    struct host_slot *watcher;
    list_each(watcher, &session->watchers, watcher)
    {
        if (watcher->subscriber != session)
            send_slot(host, watcher);
    }
}

const struct media_control media_session_control = {
    .session_open = media_session_open,
    .session_close = media_session_close,
    .offer = offer,
    .slot_set = slot_set,
    .slot_wish = slot_wish,
    .publication_block = publication_block,
    .data_permit = data_permit,
    .playout_delay = playout_delay,
    .group_loudest = group_loudest,
    .data_send = media_data_send,
    .call_open = media_call_open,
    .call_accept = media_call_accept,
    .call_answer = media_call_answer,
    .call_offer = media_call_offer,
    .call_fix = media_call_fix,
    .call_holds = media_call_holds,
};
