#include "signal/access/password_admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/loop.h"

#define SESSION_SIZE 64

struct password_admission {
    struct admission admission;
    struct password_admission_config config;
    struct list questions; /**< on their way */
    struct list ready;     /**< decided, to be told at the end of the turn */
    struct loop_task task;
};

struct question {
    struct list node;
    struct password_admission *admission;
    struct user_login_request request;
    int result;
    char session[SESSION_SIZE];
};

static void answer(struct question *question)
{
    struct admission_answer answer = { .result = question->result };
    const char *message = question->result == -EAGAIN ? "Too many wrong passwords. Try again later."
                                                      : "User name or password is wrong.";
    if (question->result == -EBUSY)
        answer.result = -EAGAIN;
    else if (question->result < 0)
        answer.result = -EACCES;
    // a name that is too long for grants is none that this protocol can register
    else if (text_copy(answer.grants.user, sizeof(answer.grants.user),
                       bytes_of_text(question->request.name)) < 0)
        answer.result = -EACCES;
    answer.grants.moderator = question->result == 0 && question->request.role != USER_ROLE_USER;
    if (answer.result == -EACCES)
        snprintf(answer.message, sizeof(answer.message), "%s", message);
    list_remove(&question->node);
    question->admission->config.decided(question->admission->config.owner, question->session,
                                        &answer);
    free(question);
}

static void tell(struct loop_task *task)
{
    struct password_admission *admission = container_of(task, struct password_admission, task);
    while (!list_empty(&admission->ready))
        answer(container_of(admission->ready.next, struct question, node));
}

static void checked(struct user_login_request *request, int result)
{
    struct question *question = container_of(request, struct question, request);
    question->result = result;
    answer(question);
}

static int ask(struct admission *self, const struct admission_question *asked)
{
    struct password_admission *admission = container_of(self, struct password_admission, admission);
    struct question *question = memory_new(struct question);
    *question = (struct question){ .admission = admission, .request.done = checked };
    snprintf(question->session, sizeof(question->session), "%s", asked->session);
    struct user_login_attempt attempt = { .name = bytes_of_text(asked->user),
                                          .password = bytes_of_text(asked->password),
                                          .remote = asked->remote,
                                          .protocol = "native",
                                          // the web server speaks plainly to this machine alone
                                          .is_private = true };
    question->result = user_login_check(admission->config.logins, &attempt, &question->request,
                                        loop_now_us(admission->config.loop));
    bool waits = question->result == -EINPROGRESS;
    list_append(waits ? &admission->questions : &admission->ready, &question->node);
    if (!waits)
        loop_task_defer(admission->config.loop, &admission->task);
    return 0;
}

struct password_admission *password_admission_new(const struct password_admission_config *config)
{
    struct password_admission *admission = memory_new(struct password_admission);
    admission->config = *config;
    admission->admission.ask = ask;
    list_init(&admission->questions);
    list_init(&admission->ready);
    loop_task_init(&admission->task, tell);
    return admission;
}

struct password_admission *password_admission_free(struct password_admission *admission)
{
    if (!admission)
        return NULL;
    loop_task_cancel(&admission->task);
    struct question *question;
    list_each(question, &admission->questions, node)
    {
        user_login_cancel(&question->request, loop_now_us(admission->config.loop));
        free(question);
    }
    list_each(question, &admission->ready, node) free(question);
    free(admission);
    return NULL;
}

struct admission *password_admission_of(struct password_admission *admission)
{
    return &admission->admission;
}
