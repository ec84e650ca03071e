#include "server/media_stats.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"
#include "server/media_host_int.h"
#include "server/media_message.h"

#define ANSWER_TIMEOUT_US (10 * TIME_US_PER_S)

/** One that asked. */
struct media_stats_question {
    struct list node; /**< in media_host.questions */
    uint64_t number;
    uint64_t asked_us;
    void (*done)(void *owner, const struct media_session_stats *stats);
    void *owner;
};

static void answer(struct media_host *host, struct media_stats_question *question,
                   const struct media_session_stats *stats)
{
    list_remove(&question->node);
    host->question_count--;
    question->done(question->owner, stats);
    free(question);
}

/** A worker that had no room for its answer does not hold a place for ever. */
static void expire(struct media_host *host, uint64_t now_us)
{
    struct media_stats_question *question;
    list_each(question, &host->questions, node)
    {
        if (now_us - question->asked_us < ANSWER_TIMEOUT_US)
            break; // they stand in their order
        answer(host, question, NULL);
    }
}

int media_host_stats(struct media_host *host, handle session,
                     void (*done)(void *owner, const struct media_session_stats *stats),
                     void *owner)
{
    uint64_t now_us = loop_now_us(host->config.loop);
    const struct host_session *found = handle_table_find(&host->sessions, session);
    if (!found)
        return -ENOENT;
    if (!found->adopted)
        return -ENOTCONN;
    expire(host, now_us);
    if (host->question_count == MEDIA_STATS_WAITING_MAX)
        return -EAGAIN;
    struct media_stats_question *question = memory_new(struct media_stats_question);
    *question = (struct media_stats_question){
        .number = ++host->question_last, .asked_us = now_us, .done = done, .owner = owner
    };
    list_append(&host->questions, &question->node);
    host->question_count++;
    struct media_message_stats message = { .session = session, .number = question->number };
    media_host_send(host, found->worker, MEDIA_MESSAGE_STATS, &message, sizeof(message));
    return 0;
}

void media_stats_answered(struct media_host *host, const struct media_message_stats_answer *message)
{
    struct media_stats_question *question;
    list_each(question, &host->questions, node)
    {
        if (question->number == message->number) {
            answer(host, question, message->stats);
            break;
        }
    }
    free(message->stats);
}

void media_stats_stop(struct media_host *host)
{
    struct media_stats_question *question;
    list_each(question, &host->questions, node) answer(host, question, NULL);
}
