// Packets for a client that are no messages: a ring per client, in the order they must go out.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_int.h"

#define CAPACITY_MIN 4

struct writer broker_scratch_writer(struct broker *broker, size_t size)
{
    struct broker_scratch *scratch = &broker->scratch;
    size += MQTT_HEADER_SIZE_MAX;
    if (scratch->capacity < size) {
        scratch->capacity = max_of(scratch->capacity * 2, size);
        scratch->data = memory_resize(scratch->data, scratch->capacity);
    }
    return writer_of(scratch->data, scratch->capacity);
}

static struct broker_control *control_add(struct broker_client *client)
{
    if (client->control_count == client->control_capacity) {
        uint32_t capacity = max_of(client->control_capacity * 2, (uint32_t)CAPACITY_MIN);
        struct broker_control *controls = memory_allocate(capacity, sizeof(*controls));
        for (uint32_t i = 0; i < client->control_count; i++) {
            uint32_t from = (client->control_at + i) & (client->control_capacity - 1);
            controls[i] = client->controls[from];
        }
        free(client->controls);
        client->controls = controls;
        client->control_at = 0;
        client->control_capacity = capacity;
    }
    uint32_t at = (client->control_at + client->control_count++) & (client->control_capacity - 1);
    broker_client_ready(client);
    return &client->controls[at];
}

bool broker_control_fits(const struct broker_client *client, const struct writer *packet)
{
    return packet->size <= client->packet_size_max;
}

void broker_control_packet(struct broker_client *client, const struct writer *packet,
                           uint64_t durable)
{
    ensure(!packet->failed);
    client->control_bytes += packet->size;
    *control_add(client) = (struct broker_control){
        .durable = durable,
        .packet = memory_copy(packet->data, packet->size),
        .size = (uint32_t)packet->size,
        .type = packet->data[0] >> 4,
    };
}

void broker_control_ack(struct broker_client *client, enum mqtt_type type, uint16_t packet_id,
                        uint8_t reason, uint64_t durable)
{
    *control_add(client) = (struct broker_control){
        .durable = durable,
        .type = (uint8_t)type,
        .ack = { .packet_id = packet_id, .reason = reason },
    };
}

void broker_control_done(struct broker_client *client)
{
    for (uint32_t i = 0; i < client->control_count; i++)
        free(client->controls[(client->control_at + i) & (client->control_capacity - 1)].packet);
    free(client->controls);
    client->controls = NULL;
    client->control_at = client->control_count = client->control_capacity = 0;
    client->control_bytes = 0;
}
