/**
 * The negotiations of a call's two sides, each with the server: which section of one belongs to
 * which of the other, what is offered to a side because of the other, and what may be answered so
 * that both fit together. Texts only; what comes of it is for the caller to apply to both sessions.
 *
 * Sides are 0, the caller, and 1, the callee. The caller's first offer is shown to the callee as an
 * offer of the server (pairing_begin); when that is accepted (pairing_accept), the caller's offer
 * is answered (pairing_answer). From then on either side may offer, and is answered at once; where
 * that changes what the other must know, pairing_wants_offer says so.
 */
#pragma once

#include "rtc/negotiate.h"

/** Of one side; an offer with more is refused. */
#define PAIRING_SECTIONS_MAX 32

struct pairing {
    struct rtc_negotiation *sides[2];
    /** By section: its partner on the other side, or a PAIRING_ number. */
    int8_t partners[2][PAIRING_SECTIONS_MAX];
    /** Of an offer that waits for its answer: the partners of its new sections. */
    int8_t offered[2][PAIRING_SECTIONS_MAX];
    /** Takes no offers but the first; set by the caller. The other side gets no more than both have
     *  agreed on. */
    bool fixed[2];
};

enum {
    PAIRING_NONE = -1, /**< none yet */
    PAIRING_GONE = -2, /**< the section that it had was replaced by another */
};

/** The negotiations are the caller's of this function and outlive the pairing. */
void pairing_init(struct pairing *pairing, struct rtc_negotiation *caller,
                  struct rtc_negotiation *callee);

/**
 * Makes the offer for the callee of what the caller offers; nothing is agreed on. Returns 0 with
 * the text (heap; the caller frees), or -EINVAL with a sentence as rtc_negotiation_answer.
 */
must_check int pairing_begin(struct pairing *pairing, const struct rtc_negotiation_local *local,
                             struct random *random, struct bytes callers_offer, char **ret_offer,
                             const char **ret_problem);
/**
 * Accepts a side's answer to the offer that was made for it. Returns as rtc_negotiation_accept. A
 * first answer that takes nothing is refused; a later one stops the side's media.
 */
must_check int pairing_accept(struct pairing *pairing, int side,
                              const struct rtc_negotiation_local *local, struct random *random,
                              struct bytes answer, const char **ret_problem);
/**
 * Answers a side's offer, within what the other side can. An offer of the server that waits for
 * this side's answer is given up. Returns as rtc_negotiation_answer.
 */
must_check int pairing_answer(struct pairing *pairing, int side,
                              const struct rtc_negotiation_local *local, struct random *random,
                              struct bytes offer, char **ret_answer, const char **ret_problem);
/** Whether a side must be offered anew: the other one has more for it than was agreed on. */
bool pairing_wants_offer(const struct pairing *pairing, int side);
/** Makes that offer (heap; the caller frees). */
char *pairing_offer(struct pairing *pairing, int side, const struct rtc_negotiation_local *local,
                    struct random *random);

/** The section of the other side that belongs to this one, or -ENOENT. */
int pairing_partner(const struct pairing *pairing, int side, size_t section);
/** Whether a side takes nothing of what the other would send: it holds the call. */
bool pairing_holds(const struct pairing *pairing, int side);
