#include "room/pairing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const char too_many[] = "A call may have at most 32 sections";

void pairing_init(struct pairing *pairing, struct rtc_negotiation *caller,
                  struct rtc_negotiation *callee)
{
    pairing->sides[0] = caller;
    pairing->sides[1] = callee;
    memset(pairing->partners, PAIRING_NONE, sizeof(pairing->partners));
    memset(pairing->offered, PAIRING_NONE, sizeof(pairing->offered));
    memset(pairing->fixed, 0, sizeof(pairing->fixed));
}

static const struct rtc_negotiated *result_of(const struct pairing *pairing, int side)
{
    return rtc_negotiation_result(pairing->sides[side]);
}

static size_t section_count(const struct pairing *pairing, int side)
{
    const struct rtc_negotiated *result = result_of(pairing, side);
    return result ? min_of(result->section_count, (size_t)PAIRING_SECTIONS_MAX) : 0;
}

/** What the server says of itself, of which a call has so many sections at most. */
static struct rtc_negotiation_local bounded(const struct rtc_negotiation_local *local)
{
    struct rtc_negotiation_local ours = *local;
    ours.section_max = PAIRING_SECTIONS_MAX;
    ours.too_many_sections = too_many;
    return ours;
}

static bool is_media(const struct rtc_section *section)
{
    return section->kind == RTC_KIND_AUDIO || section->kind == RTC_KIND_VIDEO;
}

/** What one side offers and the other is offered, too: sound, pictures, data channels. */
static bool is_forwarded(const struct rtc_section *section)
{
    return is_media(section) || section->kind == RTC_KIND_DATA;
}

/** What the other side is where this one is `role`. */
static enum rtc_role mirrored(enum rtc_role role)
{
    enum rtc_role other = RTC_ROLE_INACTIVE;
    if (role & RTC_ROLE_PUBLISH)
        other |= RTC_ROLE_SLOT;
    if (role & RTC_ROLE_SLOT)
        other |= RTC_ROLE_PUBLISH;
    return other;
}

/** The agreed section that belongs to one of `side`, or NULL. */
static const struct rtc_section *partner_of(const struct pairing *pairing, int side, size_t section)
{
    int partner = pairing_partner(pairing, side, section);
    return partner < 0 ? NULL : &result_of(pairing, !side)->sections[partner];
}

int pairing_partner(const struct pairing *pairing, int side, size_t section)
{
    if (section >= PAIRING_SECTIONS_MAX)
        return -ENOENT;
    int partner = pairing->partners[side][section];
    return partner >= 0 && (size_t)partner < section_count(pairing, !side) ? partner : -ENOENT;
}

static void join(struct pairing *pairing, int side, size_t section, size_t other)
{
    pairing->partners[side][section] = (int8_t)other;
    pairing->partners[!side][other] = (int8_t)section;
}

static void forget_offer(struct pairing *pairing, int side)
{
    memset(pairing->offered[side], PAIRING_NONE, sizeof(pairing->offered[side]));
}

int pairing_begin(struct pairing *pairing, const struct rtc_negotiation_local *local,
                  struct random *random, struct bytes callers_offer, char **ret_offer,
                  const char **ret_problem)
{
    // as it would be answered if the callee could all: what is left of it is offered to the callee
    struct rtc_negotiation *imagined = rtc_negotiation_new(random);
    struct rtc_negotiation_local whole = bounded(local);
    whole.limits = NULL;
    whole.limit_count = 0;
    char *unsent cleanup(memory_free_at) = NULL;
    int result =
        rtc_negotiation_answer(imagined, &whole, random, callers_offer, &unsent, ret_problem);
    const struct rtc_negotiated *like = rtc_negotiation_result(imagined);
    struct rtc_offer_section sections[PAIRING_SECTIONS_MAX] = { 0 };
    size_t count = 0;
    for (size_t i = 0; result == 0 && i < like->section_count; i++) {
        const struct rtc_section *section = &like->sections[i];
        if (section->rejected || !is_forwarded(section))
            continue;
        join(pairing, 0, i, count);
        sections[count++] = (struct rtc_offer_section){ .role = mirrored(section->asked),
                                                        .like = section,
                                                        .extensions = &like->extensions };
    }
    if (result == 0 && count == 0) {
        *ret_problem = "The offer has neither sound nor pictures nor data channels that the server "
                       "can forward";
        result = -EINVAL;
    }
    if (result == 0)
        *ret_offer = rtc_negotiation_offer(pairing->sides[1], local, random, sections, count);
    rtc_negotiation_free(imagined);
    return result;
}

/** What the sections of a side may be because of the other one. Returns how many it has filled. */
static size_t limits_of(const struct pairing *pairing, int side,
                        struct rtc_section_limit limits[PAIRING_SECTIONS_MAX])
{
    for (size_t i = 0; i < PAIRING_SECTIONS_MAX; i++) {
        const struct rtc_section *partner = partner_of(pairing, side, i);
        bool fixed = pairing->fixed[!side] && result_of(pairing, !side);
        // a new one may be all that it asks for, until the other side was offered the same
        limits[i] =
            (struct rtc_section_limit){ .role = RTC_ROLE_BOTH, .rejected = fixed && !partner };
        // data channels that the other side has none of end here: clients take their end for one
        // of the connection
        if (partner && is_media(partner))
            limits[i] = (struct rtc_section_limit){ .role = mirrored(fixed ? partner->role
                                                                           : partner->asked),
                                                    .codecs = partner->codecs,
                                                    .rejected = partner->rejected };
    }
    return PAIRING_SECTIONS_MAX;
}

/** A section of the other side without partner, of the same kind, or -ENOENT. */
static int find_free(const struct pairing *pairing, int side, enum rtc_kind kind)
{
    const struct rtc_negotiated *other = result_of(pairing, !side);
    for (size_t i = 0; i < section_count(pairing, !side); i++)
        if (pairing->partners[!side][i] == PAIRING_NONE && other->sections[i].kind == kind &&
            !other->sections[i].rejected)
            return (int)i;
    return -ENOENT;
}

/**
 * Pairs that both sides have stopped are none any more: whatever comes in the place of one is new,
 * and finds a partner of its own. The same for what lost its partner to another section.
 */
static void forget_stopped(struct pairing *pairing)
{
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < section_count(pairing, side); i++) {
            const struct rtc_section *partner = partner_of(pairing, side, i);
            bool alone =
                pairing->partners[side][i] == PAIRING_GONE || (partner && partner->rejected);
            if (!alone || !result_of(pairing, side)->sections[i].rejected)
                continue;
            if (partner)
                pairing->partners[!side][pairing->partners[side][i]] = PAIRING_NONE;
            pairing->partners[side][i] = PAIRING_NONE;
        }
    }
}

/** Finds partners for what is new on a side; those of what is of another kind now are gone. */
static void renew(struct pairing *pairing, int side)
{
    const struct rtc_negotiated *now = result_of(pairing, side);
    for (size_t i = 0; i < section_count(pairing, side); i++) {
        const struct rtc_section *section = &now->sections[i];
        const struct rtc_section *partner = partner_of(pairing, side, i);
        if (partner && partner->kind != section->kind) {
            pairing->partners[!side][pairing->partners[side][i]] = PAIRING_GONE;
            pairing->partners[side][i] = PAIRING_NONE;
        }
        if (section->rejected || !is_forwarded(section) ||
            pairing->partners[side][i] != PAIRING_NONE)
            continue;
        int found = find_free(pairing, side, section->kind);
        if (found >= 0)
            join(pairing, side, i, (size_t)found);
    }
}

static bool has_media(const struct rtc_negotiated *negotiated)
{
    for (size_t i = 0; i < negotiated->section_count; i++)
        if (!negotiated->sections[i].rejected && is_media(&negotiated->sections[i]))
            return true;
    return false;
}

int pairing_accept(struct pairing *pairing, int side, const struct rtc_negotiation_local *local,
                   struct random *random, struct bytes answer, const char **ret_problem)
{
    struct rtc_section_limit limits[PAIRING_SECTIONS_MAX];
    struct rtc_negotiation_local limited = bounded(local);
    // of new sections the partners are not known here yet; their offer was made to fit
    limited.limits = limits;
    limited.limit_count = limits_of(pairing, side, limits);
    int result =
        rtc_negotiation_accept(pairing->sides[side], &limited, random, answer, ret_problem);
    if (result < 0)
        return result;
    size_t count = section_count(pairing, side);
    for (size_t i = 0; i < count; i++)
        if (pairing->offered[side][i] >= 0)
            join(pairing, side, i, (size_t)pairing->offered[side][i]);
    forget_offer(pairing, side);
    forget_stopped(pairing);
    return 0;
}

int pairing_answer(struct pairing *pairing, int side, const struct rtc_negotiation_local *local,
                   struct random *random, struct bytes offer, char **ret_answer,
                   const char **ret_problem)
{
    struct rtc_section_limit limits[PAIRING_SECTIONS_MAX];
    struct rtc_negotiation_local limited = bounded(local);
    limited.limits = limits;
    limited.limit_count = limits_of(pairing, side, limits);
    int result = rtc_negotiation_answer(pairing->sides[side], &limited, random, offer, ret_answer,
                                        ret_problem);
    if (result < 0)
        return result;
    forget_offer(pairing, side);
    forget_stopped(pairing);
    renew(pairing, side);
    return 0;
}

/** Bits of a section that both sides want and that were not agreed on yet. */
static enum rtc_role missing(const struct rtc_section *section, const struct rtc_section *partner)
{
    return section->asked & mirrored(partner->asked) & ~section->role;
}

/** Whether a section of `side` has no partner yet, and should get one. */
static bool is_lonely(const struct pairing *pairing, int side, size_t section)
{
    const struct rtc_section *said = &result_of(pairing, side)->sections[section];
    return pairing->partners[side][section] == PAIRING_NONE && !said->rejected &&
           is_forwarded(said);
}

/** Whether a side has stopped all that it had: its connection has ended, and takes nothing more. */
static bool has_ended(const struct rtc_negotiated *negotiated)
{
    for (size_t i = 0; i < negotiated->section_count; i++)
        if (!negotiated->sections[i].rejected)
            return false;
    return true;
}

bool pairing_wants_offer(const struct pairing *pairing, int side)
{
    const struct rtc_negotiated *ours = result_of(pairing, side);
    const struct rtc_negotiated *others = result_of(pairing, !side);
    if (!ours || !others || pairing->fixed[side] || has_ended(ours) ||
        rtc_negotiation_offering(pairing->sides[side]))
        return false;
    for (size_t i = 0; i < section_count(pairing, !side); i++)
        if (is_lonely(pairing, !side, i) && ours->section_count < PAIRING_SECTIONS_MAX)
            return true;
    for (size_t i = 0; i < section_count(pairing, side); i++) {
        const struct rtc_section *partner = partner_of(pairing, side, i);
        if (partner && !ours->sections[i].rejected && !partner->rejected &&
            missing(&ours->sections[i], partner))
            return true;
    }
    return false;
}

char *pairing_offer(struct pairing *pairing, int side, const struct rtc_negotiation_local *local,
                    struct random *random)
{
    const struct rtc_negotiated *ours = result_of(pairing, side);
    const struct rtc_negotiated *others = result_of(pairing, !side);
    struct rtc_offer_section sections[PAIRING_SECTIONS_MAX] = { 0 };
    size_t count = 0;
    for (; count < section_count(pairing, side); count++) {
        const struct rtc_section *partner = partner_of(pairing, side, count);
        // nothing is taken away that was agreed on
        sections[count].role =
            ours->sections[count].role | (partner ? mirrored(partner->asked) : RTC_ROLE_INACTIVE);
    }
    forget_offer(pairing, side);
    for (size_t i = 0; i < section_count(pairing, !side) && count < PAIRING_SECTIONS_MAX; i++) {
        if (!is_lonely(pairing, !side, i))
            continue;
        pairing->offered[side][count] = (int8_t)i;
        sections[count++] = (struct rtc_offer_section){ .role = mirrored(others->sections[i].asked),
                                                        .like = &others->sections[i],
                                                        .extensions = &others->extensions };
    }
    return rtc_negotiation_offer(pairing->sides[side], local, random, sections, count);
}

bool pairing_holds(const struct pairing *pairing, int side)
{
    const struct rtc_negotiated *result = result_of(pairing, side);
    if (!result || !has_media(result))
        return false;
    for (size_t i = 0; i < result->section_count; i++) {
        const struct rtc_section *section = &result->sections[i];
        if (!section->rejected && is_media(section) && (section->asked & RTC_ROLE_SLOT))
            return false;
    }
    return true;
}
