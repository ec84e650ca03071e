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

static struct broker_controls *grow(struct broker_controls *former)
{
    uint32_t capacity = former ? former->capacity * 2 : CAPACITY_MIN;
    struct broker_controls *controls =
        memory_allocate(1, sizeof(*controls) + capacity * sizeof(controls->ring[0]));
    controls->capacity = capacity;
    if (!former)
        return controls;
    controls->count = former->count;
    controls->bytes = former->bytes;
    for (uint32_t i = 0; i < former->count; i++)
        controls->ring[i] = former->ring[(former->at + i) & (former->capacity - 1)];
    free(former);
    return controls;
}

static struct broker_control *control_add(struct broker_client *client)
{
    struct broker_controls *controls = client->controls;
    if (!controls || controls->count == controls->capacity)
        client->controls = controls = grow(controls);
    broker_client_ready(client);
    return &controls->ring[(controls->at + controls->count++) & (controls->capacity - 1)];
}

bool broker_control_fits(const struct broker_client *client, const struct writer *packet)
{
    return packet->size <= client->packet_size_max;
}

void broker_control_packet(struct broker_client *client, const struct writer *packet,
                           uint64_t durable)
{
    ensure(!packet->failed);
    *control_add(client) = (struct broker_control){
        .durable = durable,
        .packet = memory_copy(packet->data, packet->size),
        .size = (uint32_t)packet->size,
        .type = packet->data[0] >> 4,
    };
    client->controls->bytes += packet->size;
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
    struct broker_controls *controls = client->controls;
    for (uint32_t i = 0; controls && i < controls->count; i++)
        free(controls->ring[(controls->at + i) & (controls->capacity - 1)].packet);
    free(controls);
    client->controls = NULL;
}
