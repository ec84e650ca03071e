// Packets of every type and version; the first byte chooses the version. What the reader accepts as
// PUBLISH or CONNECT is written again and must be read as the same.
#include <stdlib.h>
#include <string.h>

#include "proto/mqtt/mqtt_packet.h"
#include "proto/mqtt/mqtt_topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct writer *writer, enum mqtt_version version,
                       struct mqtt_packet *ret_packet)
{
    ensure(!writer->failed);
    struct mqtt_frame frame;
    ensure(mqtt_frame_read(writer_written(writer), MQTT_PACKET_SIZE_MAX, &frame) == 0);
    ensure(mqtt_packet_read(&frame, version, ret_packet) == 0);
}

static void write_publish(const struct mqtt_packet *packet, enum mqtt_version version, size_t size)
{
    uint8_t *memory = malloc(size + 100);
    struct writer writer = writer_of(memory, size + 100);
    mqtt_write_publish(&writer, version, &packet->publish, packet->properties.raw);
    struct mqtt_packet again;
    read_again(&writer, version, &again);
    ensure(bytes_equal(packet->publish.topic, again.publish.topic));
    ensure(bytes_equal(packet->publish.payload, again.publish.payload));
    ensure(packet->publish.packet_id == again.publish.packet_id);
    ensure(packet->properties.present == again.properties.present);
    free(memory);
}

static void write_connect(const struct mqtt_packet *packet, size_t size)
{
    uint8_t *memory = malloc(size + 100);
    struct writer writer = writer_of(memory, size + 100);
    mqtt_write_connect(&writer, &packet->connect, packet->properties.raw,
                       packet->connect.will.properties.raw);
    struct mqtt_packet again;
    read_again(&writer, MQTT_VERSION_UNKNOWN, &again);
    ensure(bytes_equal(packet->connect.client_id, again.connect.client_id));
    ensure(bytes_equal(packet->connect.password, again.connect.password));
    ensure(bytes_equal(packet->connect.will.payload, again.connect.will.payload));
    free(memory);
}

static void walk_filters(const struct mqtt_packet *packet)
{
    struct reader items = reader_of(packet->list.items.data, packet->list.items.size);
    struct mqtt_subscription subscription;
    struct mqtt_share share;
    while (mqtt_list_next_subscription(&items, &subscription)) {
        if (mqtt_filter_is_valid(subscription.filter) &&
            mqtt_share_parse(subscription.filter, &share) == 0) {
            ensure(mqtt_filter_covers(share.filter, share.filter) || share.filter.data[0] == '$');
            mqtt_filter_matches(share.filter, bytes_of_text("a/b//c"));
        }
    }
    ensure(!items.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum mqtt_version version = data[0] & 1 ? MQTT_5 : MQTT_3_1_1;
    // memory of its own, so that a read behind the end is found
    uint8_t *copy = malloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    struct bytes input = bytes_of(copy, size - 1);
    struct mqtt_frame frame;
    while (mqtt_frame_read(input, 1u << 20, &frame) == 0) {
        struct mqtt_packet packet;
        if (mqtt_packet_read(&frame, version, &packet) == 0) {
            if (packet.type == MQTT_PUBLISH)
                write_publish(&packet, version, size);
            if (packet.type == MQTT_CONNECT)
                write_connect(&packet, size);
            if (packet.type == MQTT_SUBSCRIBE)
                walk_filters(&packet);
        }
        input = bytes_of(input.data + frame.size, input.size - frame.size);
    }
    free(copy);
    return 0;
}
