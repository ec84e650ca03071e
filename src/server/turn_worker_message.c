// What the control thread and other workers say to a worker's TURN server (turn_message.h).
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "crypto/tls.h"
#include "server/turn_dtls.h"
#include "server/turn_stream.h"
#include "server/turn_worker_int.h"

static void take_tls(struct turn_worker *turn, const struct turn_message_tls *message)
{
    tls_server_context_unref(turn->tls);
    turn->tls = message->tls;
    certificate_unref(turn->certificate);
    turn->certificate = message->certificate;
    if (turn->dtls && turn->certificate)
        turn_dtls_set_certificate(turn->dtls, turn->certificate);
}

static void answer_control(struct turn_worker *turn, enum turn_message type, const void *body,
                           size_t size, void *carried)
{
    if (mailbox_send(turn->shared->control, type, body, size) == 0)
        return;
    free(carried);
    log_warning(&turn->log, "the control thread is too busy to hear of allocations");
}

static bool next_listed(const struct turn_worker *turn, const struct turn_message_list *message,
                        uint32_t *cursor, struct turn_allocation_info *ret_info)
{
    while (turn_server_next(turn->server, cursor, ret_info)) {
        if (!message->username || bytes_equal(ret_info->username, bytes_of_text(message->username)))
            return true;
    }
    return false;
}

static void take_list(struct turn_worker *turn, const struct turn_message_list *message)
{
    struct turn_message_listed listed = {
        .request = message->request,
        .worker = turn->worker->index,
    };
    size_t room = min_of(turn_server_allocation_count(turn->server), message->limit);
    listed.items = memory_new_array(struct turn_listed, max_of(room, (size_t)1));
    uint32_t cursor = message->after;
    struct turn_allocation_info info;
    while ((listed.more = next_listed(turn, message, &cursor, &info)) && listed.count < room) {
        struct turn_listed *item = &listed.items[listed.count++];
        item->info = info;
        item->worker = turn->worker->index;
        item->cursor = cursor;
        snprintf(item->name, sizeof(item->name), "%.*s", (int)info.username.size,
                 (const char *)info.username.data);
    }
    free(message->username);
    answer_control(turn, TURN_MESSAGE_LISTED, &listed, sizeof(listed), listed.items);
}

static void take_kill(struct turn_worker *turn, const struct turn_message_kill *message)
{
    struct turn_message_killed killed = {
        .request = message->request,
        .found =
            turn_server_kill(turn->server, turn_now_us(turn), message->id, TURN_END_KILLED) == 0,
    };
    answer_control(turn, TURN_MESSAGE_KILLED, &killed, sizeof(killed), NULL);
}

void turn_worker_received(struct turn_worker *turn, const struct message *message)
{
    switch ((enum turn_message)message->type) {
    case TURN_MESSAGE_SETTINGS: {
        const struct turn_message_settings *settings =
            message_body(message, struct turn_message_settings);
        turn_server_set_settings(turn->server, settings->settings);
        turn_settings_unref(settings->settings);
        break;
    }
    case TURN_MESSAGE_TLS:
        take_tls(turn, message_body(message, struct turn_message_tls));
        break;
    case TURN_MESSAGE_CONNECTION:
        turn_streams_connection(turn->streams,
                                message_body(message, struct turn_message_connection));
        break;
    case TURN_MESSAGE_STREAM:
        turn_streams_adopt(turn->streams, message_body(message, struct turn_message_stream));
        break;
    case TURN_MESSAGE_ROUTE:
        turn_route_take(turn, message_body(message, struct turn_message_route));
        break;
    case TURN_MESSAGE_LIST:
        take_list(turn, message_body(message, struct turn_message_list));
        break;
    case TURN_MESSAGE_KILL:
        take_kill(turn, message_body(message, struct turn_message_kill));
        break;
    case TURN_MESSAGE_ASSOCIATION:
        turn_worker_take_association(
            turn, message_body(message, struct turn_message_association)->parcel);
        break;
    case TURN_MESSAGE_CLOSED:
    case TURN_MESSAGE_LISTED:
    case TURN_MESSAGE_KILLED:
    case TURN_MESSAGE_END:
        break;
    }
}
