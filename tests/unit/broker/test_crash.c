// Publishers and subscribers that keep their sessions and do all that a client must, at a process
// that dies again and again: at any place of its journal, with the last records written or not, and
// restored from the whole journal or from a snapshot with what followed it. What was published
// with QoS 1 comes at least once, with QoS 2 exactly once, in order.
#include "broker_stage.h"

#include <stdio.h>

#define PUBLISHERS   3
#define SUBSCRIBERS  3
#define MESSAGES_MAX 64
#define WINDOW       6
#define IDS          256 /**< few, so that they are used again and again */

enum progress {
    PROGRESS_NONE, /**< not sent yet */
    PROGRESS_SENT,
    PROGRESS_RECEIVED, /**< QoS 2: PUBREC came */
    PROGRESS_DONE,
};

struct publisher {
    struct device device;
    unsigned count; /**< of messages that were begun */
    uint8_t qos[MESSAGES_MAX];
    uint8_t progress[MESSAGES_MAX];
};

struct subscriber {
    struct device device;
    bool known[65536]; /**< QoS 2: identifiers that came and were not released */
    unsigned got[PUBLISHERS][MESSAGES_MAX];
    int last[PUBLISHERS][3]; /**< by quality: messages come in order the first time */
};

struct show {
    struct world world;
    struct random random;
    enum mqtt_version version;
    struct publisher publishers[PUBLISHERS];
    struct subscriber *subscribers;
    uint8_t *snapshot;
    size_t snapshot_size;
    size_t snapshot_at; /**< of the journal: what is behind it is not in the snapshot */
};

static unsigned chance(struct show *show, unsigned below)
{
    return (unsigned)(random_u64(&show->random) % below);
}

static uint16_t id_of(unsigned number)
{
    return (uint16_t)(1 + number % IDS);
}

/** ---- publishers ---- */

static void send_message(struct publisher *publisher, unsigned index, unsigned number, bool again)
{
    char topic[16], payload[16];
    snprintf(topic, sizeof(topic), "t/%u", index);
    snprintf(payload, sizeof(payload), "%u", number);
    device_publish_with(&publisher->device,
                        &(struct mqtt_publish){ .dup = again,
                                                .qos = publisher->qos[number],
                                                .packet_id = id_of(number),
                                                .topic = bytes_of_text(topic),
                                                .payload = bytes_of_text(payload) },
                        nothing());
}

static unsigned unfinished(const struct publisher *publisher)
{
    unsigned count = 0;
    for (unsigned i = 0; i < publisher->count; i++)
        count += publisher->progress[i] != PROGRESS_DONE;
    return count;
}

static void publish_next(struct show *show, unsigned index)
{
    struct publisher *publisher = &show->publishers[index];
    if (!publisher->device.client || publisher->count == MESSAGES_MAX ||
        unfinished(publisher) >= WINDOW)
        return;
    unsigned number = publisher->count++;
    publisher->qos[number] = (uint8_t)(1 + chance(show, 2));
    publisher->progress[number] = PROGRESS_SENT;
    send_message(publisher, index, number, false);
}

/** In the order they were sent (4.6). */
static void publisher_resend(struct publisher *publisher, unsigned index)
{
    for (unsigned i = 0; i < publisher->count; i++) {
        if (publisher->progress[i] == PROGRESS_SENT)
            send_message(publisher, index, i, true);
        if (publisher->progress[i] == PROGRESS_RECEIVED)
            device_ack(&publisher->device, MQTT_PUBREL, id_of(i));
    }
}

static void answer(struct device *device, enum mqtt_type type, uint16_t packet_id)
{
    if (device->client)
        device_ack(device, type, packet_id);
}

static void publisher_hears(struct publisher *publisher, const struct mqtt_packet *packet)
{
    for (unsigned i = 0; i < publisher->count; i++) {
        if (id_of(i) != packet->ack.packet_id || publisher->progress[i] == PROGRESS_DONE)
            continue;
        assert_false(mqtt_reason_is_error(packet->ack.reason) &&
                     packet->ack.reason != MQTT_PACKET_ID_NOT_FOUND);
        switch (packet->type) {
        case MQTT_PUBACK:
            assert_int_equal(publisher->qos[i], 1);
            publisher->progress[i] = PROGRESS_DONE;
            break;
        case MQTT_PUBREC:
            publisher->progress[i] = PROGRESS_RECEIVED;
            answer(&publisher->device, MQTT_PUBREL, packet->ack.packet_id);
            break;
        default:
            assert_int_equal(packet->type, MQTT_PUBCOMP);
            assert_int_equal(publisher->progress[i], PROGRESS_RECEIVED);
            publisher->progress[i] = PROGRESS_DONE;
        }
        return;
    }
}

/** ---- subscribers ---- */

static void note(struct show *show, struct subscriber *subscriber,
                 const struct mqtt_publish *publish)
{
    unsigned index = publish->topic.data[2] - (unsigned)'0';
    unsigned number = 0;
    for (size_t i = 0; i < publish->payload.size; i++)
        number = number * 10 + publish->payload.data[i] - '0';
    assert_true(index < PUBLISHERS && number < show->publishers[index].count);
    if (subscriber->got[index][number]++ == 0) {
        // of the same quality, whatever came before the process died
        int *last = &subscriber->last[index][publish->qos];
        assert_true((int)number > *last);
        *last = (int)number;
    }
    if (publish->qos == 2)
        assert_int_equal(subscriber->got[index][number], 1);
}

static void subscriber_hears(struct show *show, struct subscriber *subscriber,
                             const struct mqtt_packet *packet)
{
    const struct mqtt_publish *publish = &packet->publish;
    switch (packet->type) {
    case MQTT_PUBLISH:
        if (publish->qos == 1) {
            note(show, subscriber, publish);
            answer(&subscriber->device, MQTT_PUBACK, publish->packet_id);
            return;
        }
        if (!subscriber->known[publish->packet_id])
            note(show, subscriber, publish);
        subscriber->known[publish->packet_id] = true;
        answer(&subscriber->device, MQTT_PUBREC, publish->packet_id);
        break;
    default:
        assert_int_equal(packet->type, MQTT_PUBREL);
        subscriber->known[packet->ack.packet_id] = false;
        answer(&subscriber->device, MQTT_PUBCOMP, packet->ack.packet_id);
    }
}

/** ---- the show ---- */

static struct device *device_at(struct show *show, unsigned index)
{
    return index < PUBLISHERS ? &show->publishers[index].device
                              : &show->subscribers[index - PUBLISHERS].device;
}

/** One packet, if there is any; its answer goes out unless the connection is gone meanwhile. */
static bool hear(struct show *show, unsigned index)
{
    struct mqtt_packet packet;
    struct device *device = device_at(show, index);
    if (!device_next(device, &packet))
        return false;
    // greetings wait for the disk
    if (packet.type == MQTT_CONNACK)
        assert_true(packet.connack.session_present && packet.connack.reason == 0);
    else if (index < PUBLISHERS)
        publisher_hears(&show->publishers[index], &packet);
    else
        subscriber_hears(show, &show->subscribers[index - PUBLISHERS], &packet);
    return true;
}

static void come_again(struct show *show, unsigned index)
{
    struct device *device = device_at(show, index);
    char id[8];
    snprintf(id, sizeof(id), "c%u", index);
    struct block block;
    mqtt_write_property_four(block_begin(&block), MQTT_PROPERTY_SESSION_EXPIRY, 3600);
    struct mqtt_connect connect = { .version = show->version, .client_id = bytes_of_text(id) };
    device_ask(&show->world, device, &connect, block_bytes(&block));
    if (index < PUBLISHERS)
        publisher_resend(&show->publishers[index], index);
}

static void all_come(struct show *show)
{
    for (unsigned i = 0; i < PUBLISHERS + SUBSCRIBERS; i++) {
        struct device *device = device_at(show, i);
        char id[8];
        snprintf(id, sizeof(id), "c%u", i);
        device_connect(&show->world, device, show->version, id, false, 3600);
    }
    device_subscribe(&show->subscribers[0].device, "t/#", 2);
    device_subscribe(&show->subscribers[1].device, "t/+", 1);
    device_subscribe(&show->subscribers[2].device, "t/0", 2);
    device_subscribe(&show->subscribers[2].device, "#", 1);
}

/** ---- journals ---- */

static int by_bytes(const void *left, const void *right)
{
    const struct bytes *a = left, *b = right;
    int order = memcmp(a->data, b->data, min_of(a->size, b->size));
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/** Records in an order that says nothing, in one piece that the caller frees. */
static struct bytes sorted(struct bytes records)
{
    static struct bytes list[4096];
    size_t count = 0;
    struct reader reader = reader_of(records.data, records.size);
    struct broker_record record;
    for (size_t at = 0; broker_record_read(&reader, &record); at = reader.at) {
        assert_true(count < array_size(list));
        list[count++] = bytes_of(records.data + at, reader.at - at);
    }
    qsort(list, count, sizeof(*list), by_bytes);
    uint8_t *all = malloc(records.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(all + size, list[i].data, list[i].size);
        size += list[i].size;
    }
    return bytes_of(all, size);
}

/** The shortest journal that leads to the same. */
static struct bytes shortest(struct show *show, struct bytes records)
{
    struct broker *second = broker_new(&show->world.config, show->world.now_us);
    broker_set_unix_offset(second, WORLD_UNIX_US);
    assert_int_equal(broker_restore(second, records), 0);
    size_t size;
    uint8_t *data = broker_snapshot(second, &size);
    broker_free(second);
    return bytes_of(data, size);
}

static struct bytes with_snapshot(const struct show *show)
{
    size_t tail = show->world.disk_size - show->snapshot_at;
    uint8_t *data = malloc(show->snapshot_size + tail + 1);
    if (show->snapshot_size > 0)
        memcpy(data, show->snapshot, show->snapshot_size);
    if (tail > 0)
        memcpy(data + show->snapshot_size, show->world.disk + show->snapshot_at, tail);
    return bytes_of(data, show->snapshot_size + tail);
}

static void take_snapshot(struct show *show)
{
    struct bytes records = with_snapshot(show);
    struct bytes snapshot = shortest(show, records);
    free((void *)(uintptr_t)records.data);
    free(show->snapshot);
    show->snapshot = (uint8_t *)(uintptr_t)snapshot.data;
    show->snapshot_size = snapshot.size;
    show->snapshot_at = show->world.disk_size;
}

/** Both ways lead to the same. */
static void compare(struct show *show)
{
    struct bytes other = with_snapshot(show);
    struct bytes short_of_other = shortest(show, other);
    struct bytes short_of_whole = shortest(show, bytes_of(show->world.disk, show->world.disk_size));
    struct bytes left = sorted(short_of_other), right = sorted(short_of_whole);
    assert_true(bytes_equal(left, right));
    struct bytes all[] = { other, short_of_other, short_of_whole, left, right };
    for (size_t i = 0; i < array_size(all); i++)
        free((void *)(uintptr_t)all[i].data);
}

static void crash(struct show *show)
{
    if (chance(show, 4) == 0)
        compare(show);
    if (chance(show, 2)) {
        // the files before the snapshot are gone
        struct bytes records = with_snapshot(show);
        free(show->world.disk);
        show->world.disk = (uint8_t *)(uintptr_t)records.data;
        show->world.disk_size = records.size;
        show->snapshot_size = show->snapshot_at = 0;
    }
    show->world.disk_waits = false;
    world_crash(&show->world);
    for (unsigned i = 0; i < PUBLISHERS + SUBSCRIBERS; i++) {
        struct device *device = device_at(show, i);
        device->client = NULL;
        device->unread_size = 0;
        // what the network still had arrives, or does not
        while (chance(show, 4) && hear(show, i))
            ;
        come_again(show, i);
    }
}

static void step(struct show *show)
{
    unsigned index = chance(show, PUBLISHERS + SUBSCRIBERS);
    switch (chance(show, 40)) {
    case 0:
        crash(show);
        break;
    case 1:
        come_again(show, index);
        break;
    case 2:
        take_snapshot(show);
        break;
    case 3:
    case 4:
        show->world.disk_waits = true;
        break;
    case 5:
        show->world.disk_waits = false;
        world_run(&show->world);
        break;
    default:
        if (chance(show, 3) == 0)
            publish_next(show, chance(show, PUBLISHERS));
        else
            hear(show, index);
    }
}

static void finish(struct show *show)
{
    show->world.disk_waits = false;
    world_run(&show->world);
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < PUBLISHERS + SUBSCRIBERS; i++)
            while (hear(show, i))
                more = true;
    }
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        struct publisher *publisher = &show->publishers[p];
        assert_int_equal(unfinished(publisher), 0);
        for (unsigned i = 0; i < publisher->count; i++)
            for (unsigned s = 0; s < SUBSCRIBERS; s++) {
                bool once = publisher->qos[i] == 2 && (s == 0 || (s == 2 && p == 0));
                unsigned got = show->subscribers[s].got[p][i];
                assert_true(once ? got == 1 : got >= 1);
            }
    }
    assert_int_equal(world_metric(&show->world, BROKER_METRIC_MESSAGE_BYTES), 0);
    compare(show);
}

static void run(enum mqtt_version version, uint64_t seed, unsigned steps)
{
    struct show show = { .version = version };
    random_seeded_init(&show.random, seed);
    show.subscribers = calloc(SUBSCRIBERS, sizeof(*show.subscribers));
    for (unsigned s = 0; s < SUBSCRIBERS; s++)
        memset(show.subscribers[s].last, 0xff, sizeof(show.subscribers[s].last));
    // a window that fills
    world_init(&show.world, &(struct broker_config){ .journal = true, .inflight_max = 4 });
    all_come(&show);
    for (unsigned i = 0; i < steps; i++)
        step(&show);
    finish(&show);
    for (unsigned i = 0; i < PUBLISHERS + SUBSCRIBERS; i++)
        device_reset(device_at(&show, i));
    world_done(&show.world);
    free(show.subscribers);
    free(show.snapshot);
}

static void test_nothing_is_lost_and_nothing_doubled(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++)
        each_version(version) run(version, seed, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_and_nothing_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
