/** One call to a room: what focus.c, which knows all of them, shares with focus_leg.c. */
#pragma once

#include "signal/focus/focus.h"

#define FOCUS_LEG_ID_SIZE 24

/** Who calls, as far as the room wants to know. */
struct focus_caller {
    char name[CALL_NAME_SIZE];
    struct net_address remote;
    bool loopback;
    bool has_grants; /**< a token or the operator's endpoint spoke for it */
    struct token_grants grants;
};

/** What speaks for the caller: without a room in it, for its name alone. */
void focus_caller_take(struct focus_caller *caller, const struct token_grants *grants);

struct focus_leg {
    struct list node;          /**< in focus.legs */
    struct list due_node;      /**< in focus.due, or in none */
    struct list pathless_node; /**< in focus.pathless, or in none */
    struct focus *focus;
    char id[FOCUS_LEG_ID_SIZE];
    char room[CALL_NAME_SIZE];
    struct focus_caller caller;
    struct call_device device;
    char call[CALL_ID_SIZE]; /**< "": none has come yet */
    struct room_observer observer;
    struct room_member *member; /**< NULL: not in, or removed */
    uint64_t pathless_us;
    char *offer;      /**< of the caller, to be answered; NULL: none */
    bool decided;     /**< the caller may come in, or may not: `refused` */
    bool asking;      /**< the answer of the operator's endpoint is on its way */
    bool accepted;    /**< its first offer was answered */
    bool over;        /**< to be hung up: `over_metric` says why */
    bool caller_away; /**< the caller's connection to signaling is lost */
    enum focus_metric over_metric;
    enum focus_metric refused; /**< FOCUS_METRIC_COUNT: not refused */
};

struct focus_leg *focus_leg_new(struct focus *focus, const char *room,
                                const struct token_grants *grants);
/** Ends its call, if it still has one, and takes it out of the room. */
void focus_leg_free(struct focus_leg *leg, uint64_t now_us);
/** There is something to do for it. */
void focus_leg_wake(struct focus_leg *leg);
/** Its call is to be hung up; the first reason counts. */
void focus_leg_end_soon(struct focus_leg *leg, enum focus_metric why);
/** Does it. The leg is freed when its call is over. */
void focus_leg_run(struct focus_leg *leg, uint64_t now_us);
