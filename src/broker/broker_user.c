// What the owner decides about a user that is here already.
#include "broker/broker_int.h"

void broker_users_disconnect(struct broker *broker, uint64_t now_us, const struct map *users,
                             bool (*chosen)(const struct broker_client *client))
{
    struct broker_client *client;
    list_each(client, &broker->clients, node)
    {
        if (client->session && map_find(users, broker_client_user(client)) &&
            (!chosen || chosen(client)))
            broker_client_disconnect(client, now_us, MQTT_ADMINISTRATIVE_ACTION);
    }
}

size_t broker_user_prune(struct broker *broker, uint64_t now_us, struct bytes user,
                         bool (*keep)(void *owner, struct bytes client_id), void *owner)
{
    size_t count = 0;
    struct broker_session *session;
    index_each(session, &broker->sessions, entry)
    {
        bool is_theirs = bytes_equal(broker_session_user(session), user);
        if (!is_theirs || session->client || (keep && keep(owner, broker_session_id(session))))
            continue;
        broker_session_end(session, now_us);
        count++;
    }
    return count;
}

void broker_users_forget(struct broker *broker, uint64_t now_us, const struct map *users)
{
    broker_users_disconnect(broker, now_us, users, NULL);
    struct broker_session *session;
    index_each(session, &broker->sessions, entry)
    {
        if (map_find(users, broker_session_user(session)))
            broker_session_end(session, now_us);
    }
}
