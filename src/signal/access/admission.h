/**
 * Who may come in, decided elsewhere: by the operator's own endpoint, or by keys that are being
 * fetched. The protocol's engine asks; while the answer is on its way the request is parked, and
 * runs again when it is there.
 */
#pragma once

#include "base/address.h"
#include "signal/access/token.h"

#define ADMISSION_MESSAGE_SIZE 256

enum admission_purpose {
    ADMISSION_JOIN,     /**< a room */
    ADMISSION_REGISTER, /**< a user name, for calls */
    ADMISSION_LINK,     /**< a call by a link */
    ADMISSION_PUBLISH,  /**< into a room by WHIP */
    ADMISSION_WATCH,    /**< a room by WHEP */
};

/** What someone wants. Valid within the call; the texts are the client's word. */
struct admission_question {
    enum admission_purpose purpose;
    const char *room;  /**< JOIN, PUBLISH, WATCH; else NULL */
    const char *user;  /**< REGISTER; else NULL */
    const char *name;  /**< display name; WATCH: of the publisher; NULL: none */
    const char *token; /**< as it was shown; NULL: none */
    const char
        *password; /**< of `user`, as it was shown; NULL: none. For the login service alone */
    const char *session;
    struct net_address remote;
};

struct admission_answer {
    /** 0: let in with `grants`; -EACCES: refused; -EAGAIN: nobody could decide, ask again later. */
    int result;
    struct token_grants grants;
    char message[ADMISSION_MESSAGE_SIZE]; /**< a sentence for who was refused; "" : none */
};

/** An operator's endpoint, as the engine sees it. */
struct admission {
    /**
     * Asks. The answer comes through signal_native_admitted or whip_endpoint_admitted for
     * `question->session`, later. Returns 0, or a negative errno when it cannot be asked: nothing
     * will come.
     */
    int (*ask)(struct admission *self, const struct admission_question *question);
};
