#include "proto/ice/ice_answers.h"

#include <string.h>

#include "proto/ice/ice_check.h"

void ice_answers_add(struct ice_answers *answers, const struct stun_message *request,
                     const struct net_path *path, uint8_t session, uint16_t error, uint16_t unknown)
{
    ensure(!ice_answers_full(answers));
    struct ice_waiting_answer *answer = &answers->waiting[answers->count++];
    *answer = (struct ice_waiting_answer){
        .path = *path,
        .session = session,
        .error = error,
        .unknown = unknown,
    };
    memcpy(answer->transaction_id, stun_message_transaction_id(request),
           sizeof(answer->transaction_id));
}

bool ice_answers_write(struct ice_answers *answers, const struct ice_session *const *sessions,
                       struct datagram_batch *batch)
{
    uint8_t written = 0;
    for (; written < answers->count; written++) {
        const struct ice_waiting_answer *answer = &answers->waiting[written];
        if (!sessions[answer->session])
            continue; // ended meanwhile
        uint8_t *at = datagram_batch_reserve(batch, ICE_MESSAGE_MAX);
        if (!at)
            break;
        const struct ice_answer content = {
            .transaction_id = answer->transaction_id,
            .mapped = &answer->path.remote,
            .error = answer->error,
            .unknown = answer->unknown,
        };
        size_t size = ice_answer_write(&content, sessions[answer->session], at, ICE_MESSAGE_MAX);
        datagram_batch_commit(batch, &answer->path, size);
    }
    for (uint8_t i = written; i < answers->count; i++)
        answers->waiting[i - written] = answers->waiting[i];
    answers->count = (uint8_t)(answers->count - written);
    return answers->count == 0;
}
