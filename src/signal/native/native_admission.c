// Who may come in: by token, or by the word of the operator's endpoint; and requests that wait.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "signal/access/token_verifier.h"
#include "signal/native/native_int.h"

/** Bytes of a request that waits; an honest one has a token of 4 KiB and some names. */
#define PARKED_SIZE_MAX (16u << 10)

void native_parked_done(struct native_parked *parked)
{
    if (parked->text)
        memory_wipe(parked->text, parked->size); // it may have a password
    free(parked->text);
    free(parked->answer);
    *parked = (struct native_parked){ 0 };
}

/** True when the request waits now; false, with a refusal, when another one of the session does. */
static bool park(struct native_session *session, const struct wire_message *message, bool for_keys)
{
    struct native_parked *parked = &session->parked;
    if (parked->text) {
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST,
                      "Another request waits for the answer who may come in. Wait for its reply.");
        return false;
    }
    struct bytes input = session->native->input;
    if (input.size > PARKED_SIZE_MAX) {
        native_refuse(session, message, WIRE_ERROR_TOO_LARGE, NULL);
        return false;
    }
    *parked = (struct native_parked){ .text = memory_copy(input.data, input.size),
                                      .size = input.size,
                                      .id = message->id,
                                      .for_keys = for_keys };
    return true;
}

static int verify(const struct native_config *config, const char *token, uint64_t now_unix_s,
                  struct token_grants *ret_grants)
{
    struct bytes text = bytes_of_text(token);
    return config->tokens ? token_verifier_check(config->tokens, text, now_unix_s, ret_grants)
                          : token_verify(text, config->token_key, now_unix_s, ret_grants);
}

static bool check_token(struct native_session *session, uint64_t now_us,
                        const struct wire_message *message, const char *token, bool second_look,
                        struct token_grants *ret_grants)
{
    struct signal_native *native = session->native;
    const struct native_config *config = &native->config;
    if (!token) {
        if (!config->require_token)
            return true;
        native_refuse(session, message, WIRE_ERROR_TOKEN_REQUIRED, NULL);
        return false;
    }
    int result = verify(config, token, native_unix_us(native, now_us) / TIME_US_PER_S, ret_grants);
    if (result == -ENOKEY && !second_look && config->keys_pending &&
        config->keys_pending(config->keys_owner)) {
        (void)park(session, message, true);
        return false;
    }
    if (result < 0) {
        bool plain = result == -EBADMSG || result == -ENOKEY || result == -ETIME;
        native_refuse(session, message,
                      result == -ETIME ? WIRE_ERROR_TOKEN_EXPIRED : WIRE_ERROR_TOKEN_INVALID,
                      plain ? NULL : token_problem(result));
        return false;
    }
    return true;
}

/** What the operator's endpoint said, or the login service of a `password`. */
static bool take_answer(struct native_session *session, const struct wire_message *message,
                        const struct admission_answer *answer, bool password,
                        struct token_grants *ret_grants)
{
    if (answer->result == 0) {
        *ret_grants = answer->grants;
        return true;
    }
    if (answer->result == -EACCES)
        native_refuse(session, message,
                      password ? WIRE_ERROR_LOGIN_REFUSED : WIRE_ERROR_NOT_PERMITTED,
                      answer->message[0] ? answer->message : "You may not come in here.");
    else
        native_refuse(session, message, WIRE_ERROR_SERVER_FULL,
                      "It cannot be decided at the moment who may come in. Try again later.");
    return false;
}

static void ask(struct native_session *session, const struct wire_message *message,
                struct admission *admission, struct admission_question *question)
{
    question->session = session->id;
    question->remote = session->remote;
    if (!park(session, message, false))
        return;
    if (admission->ask(admission, question) == 0)
        return;
    native_parked_done(&session->parked);
    struct token_grants none;
    (void)take_answer(session, message, &(struct admission_answer){ .result = -EAGAIN },
                      question->password, &none);
}

bool native_admit(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message, struct admission_question *question,
                  struct token_grants *ret_grants)
{
    struct native_parked *parked = &session->parked;
    const struct native_config *config = &session->native->config;
    struct admission *admission = question->password ? config->passwords : config->admission;
    bool second_look = parked->ready && parked->id == message->id;
    bool admitted = false;
    *ret_grants = (struct token_grants){ 0 };
    // its transport has asked who it is; rooms are for tokens to open
    if (session->identity.user && question->purpose != ADMISSION_JOIN)
        return text_copy(ret_grants->user, sizeof(ret_grants->user),
                         bytes_of_text(session->identity.user)) == 0;
    if (second_look && parked->answer)
        admitted = take_answer(session, message, parked->answer, question->password, ret_grants);
    else if (admission)
        ask(session, message, admission, question);
    else
        admitted = check_token(session, now_us, message, question->token, second_look, ret_grants);
    session->admitted =
        session->admitted || (admitted && (question->token || question->password || admission));
    if (question->purpose == ADMISSION_REGISTER && admitted)
        session->moderates = question->password && ret_grants->moderator;
    return admitted;
}

void native_run_parked(struct native_session *session, uint64_t now_us)
{
    struct native_parked *parked = &session->parked;
    struct signal_native *native = session->native;
    if (!parked->text || !parked->ready || !session->connection)
        return;
    struct wire_message message;
    struct wire_problem problem;
    // it was read before, so it can be read again
    if (wire_read(bytes_of(parked->text, parked->size), &message, &problem) == 0) {
        native->input = bytes_of(parked->text, parked->size);
        native_handle(session, now_us, &message);
        wire_message_done(&message);
    }
    native_parked_done(parked);
    room_directory_settle(native->config.rooms, now_us);
}

void signal_native_admitted(struct signal_native *native, uint64_t now_us, const char *session_id,
                            const struct admission_answer *answer)
{
    struct native_session *session = map_find(&native->sessions, bytes_of_text(session_id));
    if (!session || !session->parked.text || session->parked.for_keys || session->parked.ready)
        return;
    session->parked.answer = memory_new(struct admission_answer);
    *session->parked.answer = *answer;
    session->parked.ready = true;
    native_run_parked(session, now_us);
}

void signal_native_keys_fetched(struct signal_native *native, uint64_t now_us)
{
    size_t cursor = 0;
    void *item;
    while (map_next(&native->sessions, &cursor, NULL, &item)) {
        struct native_session *session = item;
        if (!session->parked.text || !session->parked.for_keys)
            continue;
        session->parked.ready = true;
        native_run_parked(session, now_us);
    }
}
