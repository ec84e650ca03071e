// Who may come in: anyone as a guest, by a token of the client's `token` option, or by the word of
// the operator's endpoint.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "signal/access/token_verifier.h"
#include "signal/peerjs/peerjs_int.h"

/** Without a `token` option the client makes one up; those of ours have two dots. */
static bool is_made_up(const char *token)
{
    const char *dot = strchr(token, '.');
    return !dot || !strchr(dot + 1, '.');
}

static void refuse_token(struct peerjs_peer *peer, const char *sentence)
{
    peerjs_refuse(peer, PEERJS_METRIC_REFUSED_TOKEN, "ERROR", sentence);
}

static void enter_with(struct peerjs_peer *peer, uint64_t now_us, const struct token_grants *grants)
{
    if (strcmp(grants->user, peer->id) != 0) {
        refuse_token(peer, "The token is for another id.");
        return;
    }
    peerjs_enter(peer, now_us, grants);
}

static void check_token(struct peerjs_peer *peer, uint64_t now_us, uint64_t now_unix_s,
                        bool second_look)
{
    const struct peerjs_config *config = &peer->peerjs->config;
    if (!config->tokens || is_made_up(peer->token)) {
        if (config->require_token)
            refuse_token(peer, "This server lets people in by token only: new Peer(id, {token}).");
        else
            peerjs_enter(peer, now_us, NULL);
        return;
    }
    struct token_grants grants;
    int result =
        token_verifier_check(config->tokens, bytes_of_text(peer->token), now_unix_s, &grants);
    if (result == -ENOKEY && !second_look && config->keys_pending &&
        config->keys_pending(config->owner))
        peer->for_keys = true;
    else if (result < 0)
        refuse_token(peer, token_problem(result));
    else
        enter_with(peer, now_us, &grants);
}

static void ask(struct peerjs_peer *peer)
{
    struct admission *admission = peer->peerjs->config.admission;
    const struct admission_question question = {
        .purpose = ADMISSION_REGISTER,
        .user = peer->id,
        .token = is_made_up(peer->token) ? NULL : peer->token,
        .session = peer->session,
        .remote = peer->remote,
    };
    if (admission->ask(admission, &question) < 0)
        refuse_token(peer, "It cannot be decided at the moment who may come in. Try again later.");
}

void peerjs_admit(struct peerjs_peer *peer, uint64_t now_us, uint64_t now_unix_s)
{
    if (peer->peerjs->config.admission)
        ask(peer);
    else
        check_token(peer, now_us, now_unix_s, false);
}

void signal_peerjs_admitted(struct signal_peerjs *peerjs, uint64_t now_us, const char *session,
                            const struct admission_answer *answer)
{
    struct peerjs_peer *peer = map_find(&peerjs->sessions, bytes_of_text(session));
    if (!peer || peer->state != PEERJS_ASKING || !peerjs_is_connected(peer) || peer->for_keys)
        return;
    if (answer->result == 0)
        enter_with(peer, now_us, &answer->grants);
    else if (answer->result == -EACCES)
        refuse_token(peer, answer->message[0] ? answer->message : "You may not come in here.");
    else
        refuse_token(peer, "It cannot be decided at the moment who may come in. Try again later.");
}

void signal_peerjs_keys_fetched(struct signal_peerjs *peerjs, uint64_t now_us, uint64_t now_unix_s)
{
    size_t cursor = 0;
    void *item;
    // a peer that enters may be another's new socket, and is gone then: the walk allows that
    while (map_next(&peerjs->sessions, &cursor, NULL, &item)) {
        struct peerjs_peer *peer = item;
        if (!peer->for_keys || !peerjs_is_connected(peer))
            continue;
        peer->for_keys = false;
        check_token(peer, now_us, now_unix_s, true);
    }
}
