// Clients of the server's own: what is particular about them.
#include <stdlib.h>

#include "broker/broker_int.h"

void broker_count_dropped(const struct broker_session *session, enum broker_metric why)
{
    broker_count(session->broker, why);
    const struct broker_inner *inner = session->client ? session->client->inner : NULL;
    if (inner && inner->dropped)
        metric_add(inner->dropped, 1);
}

bool broker_client_is_inner(const struct broker_client *client)
{
    return client->inner;
}

void broker_client_hold(struct broker_client *client)
{
    client->held = true;
    client->steps = 0;
    broker_control_done(client);
}

void broker_client_release(struct broker_client *client, uint16_t receive_max,
                           uint32_t packet_size_max)
{
    client->held = false;
    client->receive_max = receive_max;
    client->packet_size_max = packet_size_max;
    if (client->session)
        client->session->queue.sent_count = 0;
    broker_client_ready(client);
}

void broker_client_forget_received(struct broker_client *client)
{
    struct broker_session *session = client->session;
    while (session && session->received_count > 0) {
        uint16_t packet_id = session->received[session->received_count - 1];
        broker_session_remove_received(session, packet_id);
        if (session->is_kept)
            broker_journal_append(&session->broker->journal,
                                  &(struct broker_record){ .type = BROKER_RECORD_RECEIVED_END,
                                                           .session = session->number,
                                                           .packet_id = packet_id });
    }
}
