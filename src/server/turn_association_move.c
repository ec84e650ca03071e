// A client over DTLS that changed its address (RFC 8016) may reach a worker that does not have its
// allocation. Its association then goes to the one that does, with the request that showed it.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/turn_dtls_int.h"

struct turn_dtls_parcel {
    struct dtls *dtls;
    struct net_path path;
    uint8_t random[32];
    size_t size;
    uint8_t message[];
};

void turn_dtls_parcel_free(struct turn_dtls_parcel *parcel)
{
    if (!parcel)
        return;
    dtls_free(parcel->dtls);
    free(parcel);
}

uint16_t turn_dtls_parcel_port(const struct turn_dtls_parcel *parcel)
{
    return parcel->path.local.port;
}

bool turn_association_moves(struct turn_association *association, struct bytes message)
{
    struct turn_dtls *set = association->set;
    uint32_t count = turn_worker_shared(set->turn)->count;
    if (likely(count <= 1) || association->next.dtls || association->adopted)
        return false; // (where its datagrams arrive, only one route is kept)
    int worker = turn_message_worker(turn_worker_server(set->turn), message);
    if (worker < 0 || (uint32_t)worker >= count || (uint32_t)worker == turn_worker_index(set->turn))
        return false;
    struct turn_dtls_parcel *parcel = memory_allocate(1, sizeof(*parcel) + message.size);
    parcel->dtls = association->side.dtls;
    parcel->path = association->source.path;
    memcpy(parcel->random, association->side.random, sizeof(parcel->random));
    parcel->size = message.size;
    memcpy(parcel->message, message.data, message.size);
    // counters and provider of this thread are not for the other one
    dtls_move(parcel->dtls, NULL, NULL);
    // once given, the parcel is not ours to look at
    if (turn_worker_give_association(set->turn, (uint32_t)worker, &association->source.path,
                                     parcel) < 0) {
        dtls_move(parcel->dtls, set->provider, set->dtls_metrics);
        free(parcel);
        return false; // the engine answers that there is no such allocation here
    }
    association->side.dtls = NULL; // the other worker has it already
    turn_dtls_count_event(set, TURN_DTLS_MOVED);
    turn_association_free(association);
    return true;
}

void turn_dtls_adopt(struct turn_dtls *set, struct udp_socket *socket,
                     struct turn_dtls_parcel *parcel)
{
    struct turn_association *old = turn_dtls_find(set, &parcel->path);
    if (old)
        turn_association_end(old, TURN_DTLS_REPLACED);
    struct turn_association *association = turn_dtls_add(set, socket, &parcel->path);
    if (!association) {
        turn_worker_association_ended(set->turn, &parcel->path);
        turn_dtls_parcel_free(parcel);
        return;
    }
    association->side.dtls = parcel->dtls;
    memcpy(association->side.random, parcel->random, sizeof(parcel->random));
    association->connected = true;
    association->adopted = true;
    association->ends_us = turn_dtls_now_us(set) + set->unallocated_us;
    dtls_move(association->side.dtls, set->provider, set->dtls_metrics);
    turn_worker_client_input(set->turn, &association->source, &association->cache,
                             bytes_of(parcel->message, parcel->size));
    turn_worker_flush(set->turn); // what refers to the message
    free(parcel);
    turn_association_serve(association);
}
