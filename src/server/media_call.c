// Anchored calls: two sessions, of which each gets what the other one sends.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/media_host_int.h"

static struct host_session *find_side(struct media_control *control, media_session name)
{
    struct host_session *session = handle_table_find(&media_host_of(control)->sessions, name);
    return session && session->pairing ? session : NULL;
}

void media_call_leave(struct host_session *session)
{
    if (!session->pairing)
        return;
    free(session->pairing);
    struct host_session *sides[] = { session, session->other };
    for (size_t i = 0; i < array_size(sides); i++) {
        sides[i]->pairing = NULL;
        sides[i]->other = NULL;
    }
}

static int open_sides(struct media_control *control, bool loopback,
                      media_session ret_sides[MEDIA_CALL_SIDES])
{
    const struct media_session_config config = { .loopback = loopback, .two_way = true };
    int error = media_session_open(control, &config, &ret_sides[MEDIA_CALL_CALLER]);
    if (error)
        return error;
    error = media_session_open(control, &config, &ret_sides[MEDIA_CALL_CALLEE]);
    if (error)
        media_session_close(control, ret_sides[MEDIA_CALL_CALLER]);
    return error;
}

static void pair(struct media_host *host, const media_session names[MEDIA_CALL_SIDES],
                 struct host_session *sides[MEDIA_CALL_SIDES])
{
    struct pairing *pairing = memory_new(struct pairing);
    for (int i = 0; i < MEDIA_CALL_SIDES; i++)
        sides[i] = handle_table_find(&host->sessions, names[i]);
    for (int i = 0; i < MEDIA_CALL_SIDES; i++) {
        sides[i]->pairing = pairing;
        sides[i]->side = (enum media_call_side)i;
        sides[i]->other = sides[!i];
        sides[i]->member.call = names[!i];
    }
    pairing_init(pairing, sides[MEDIA_CALL_CALLER]->negotiation,
                 sides[MEDIA_CALL_CALLEE]->negotiation);
}

int media_call_open(struct media_control *control, bool loopback, struct bytes callers_offer,
                    media_session ret_sides[MEDIA_CALL_SIDES], char **ret_offer,
                    const char **ret_problem)
{
    struct media_host *host = media_host_of(control);
    int error = open_sides(control, loopback, ret_sides);
    if (error)
        return error;
    struct host_session *sides[MEDIA_CALL_SIDES];
    pair(host, ret_sides, sides);
    struct host_local local;
    media_session_describe(host, sides[MEDIA_CALL_CALLEE], &local);
    error = pairing_begin(sides[0]->pairing, &local.local, host->config.random, callers_offer,
                          ret_offer, ret_problem);
    memory_wipe(&local, sizeof(local));
    for (int i = 0; error && i < MEDIA_CALL_SIDES; i++)
        media_session_close(control, ret_sides[i]);
    return error;
}

/** Fills the slots of one side with what the other publishes in their partners. */
static void fill(struct media_host *host, struct host_session *session)
{
    struct host_session *other = session->other;
    if (!session->params || !other->params)
        return;
    const struct rtc_negotiated *ours = rtc_params_get(session->params);
    const struct rtc_negotiated *theirs = rtc_params_get(other->params);
    for (size_t i = 0; i < ours->section_count; i++) {
        int partner = pairing_partner(session->pairing, (int)session->side, i);
        struct host_slot *slot = &session->slots[i];
        // what was agreed on last may not be in force there yet
        bool shows = partner >= 0 && (size_t)partner < theirs->section_count &&
                     rtc_section_is_slot(&ours->sections[i]) &&
                     rtc_section_publishes(&theirs->sections[partner]);
        bool shown = slot->publisher && slot->publisher_section == (uint32_t)partner;
        if (shows && !shown)
            media_session_show(host, slot, other, (size_t)partner);
        else if (!shows && slot->publisher)
            media_session_show(host, slot, NULL, 0);
    }
}

static void agreed(struct media_host *host, struct host_session *session)
{
    media_session_agreed(host, session);
    fill(host, session);
    fill(host, session->other);
}

void media_call_fix(struct media_control *control, media_session side)
{
    struct host_session *session = find_side(control, side);
    if (session)
        session->pairing->fixed[session->side] = true;
}

int media_call_accept(struct media_control *control, media_session side, struct bytes answer,
                      const char **ret_problem)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_side(control, side);
    if (!session)
        return -ENOENT;
    struct host_local local;
    media_session_describe(host, session, &local);
    int error = pairing_accept(session->pairing, (int)session->side, &local.local,
                               host->config.random, answer, ret_problem);
    memory_wipe(&local, sizeof(local));
    if (!error)
        agreed(host, session);
    return error;
}

int media_call_answer(struct media_control *control, media_session side, struct bytes offer,
                      char **ret_answer, const char **ret_problem)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_side(control, side);
    if (!session)
        return -ENOENT;
    struct host_local local;
    media_session_describe(host, session, &local);
    int error = pairing_answer(session->pairing, (int)session->side, &local.local,
                               host->config.random, offer, ret_answer, ret_problem);
    memory_wipe(&local, sizeof(local));
    if (!error)
        agreed(host, session);
    return error;
}

char *media_call_offer(struct media_control *control, media_session side)
{
    struct media_host *host = media_host_of(control);
    struct host_session *session = find_side(control, side);
    if (!session || !pairing_wants_offer(session->pairing, (int)session->side))
        return NULL;
    struct host_local local;
    media_session_describe(host, session, &local);
    char *offer =
        pairing_offer(session->pairing, (int)session->side, &local.local, host->config.random);
    memory_wipe(&local, sizeof(local));
    return offer;
}

bool media_call_holds(struct media_control *control, media_session side)
{
    struct host_session *session = find_side(control, side);
    return session && pairing_holds(session->pairing, (int)session->side);
}
