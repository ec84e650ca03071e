// What crosses threads: rings, mailboxes, handoff, packets. Meant to be run under TSan as well.
#include "unit/runtime/turns.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/packet.h"
#include "runtime/handoff.h"
#include "runtime/mailbox.h"

#define SENDERS  4
#define MESSAGES 20000

struct numbered {
    uint32_t sender;
    uint32_t number;
    char *owned; /**< handed over: the receiver frees */
};

struct receiver {
    struct loop loop;
    struct mailbox mailbox;
    uint32_t next[SENDERS];
    size_t count;
    size_t discarded;
};

struct sender {
    pthread_t thread;
    struct receiver *receiver;
    uint32_t index;
    size_t refused;
};

static void on_numbered(void *owner, const struct message *message)
{
    struct receiver *receiver = owner;
    const struct numbered *body = message_body(message, struct numbered);
    assert_int_equal(message->type, 5);
    assert_int_equal(body->number, receiver->next[body->sender]);
    assert_int_equal(body->owned[0], (char)body->number);
    receiver->next[body->sender]++;
    receiver->count++;
    free(body->owned);
}

static void on_discard(void *owner, const struct message *message)
{
    struct receiver *receiver = owner;
    receiver->discarded++;
    free(message_body(message, struct numbered)->owned);
}

static const struct mailbox_ops mailbox_ops = { on_numbered, on_discard };

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (uint32_t i = 0; i < MESSAGES;) {
        char first = (char)i;
        struct numbered body = { sender->index, i, memory_copy(&first, 1) };
        if (mailbox_send(&sender->receiver->mailbox, 5, &body, sizeof(body)) == 0) {
            i++;
            continue;
        }
        free(body.owned); // full: still ours
        sender->refused++;
        sched_yield();
    }
    return NULL;
}

static void test_messages_of_many_threads_arrive_once_and_in_each_senders_order(void **state)
{
    (void)state;
    static struct receiver receiver;
    assert_int_equal(loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, 256, &mailbox_ops, &receiver),
                     0);
    struct sender senders[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ .receiver = &receiver, .index = i };
        pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
    }
    turn_until(&receiver.loop, receiver.count == (size_t)SENDERS * MESSAGES);
    size_t refused = 0;
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        refused += senders[i].refused;
    }
    assert_int_equal(atomic_load(&receiver.mailbox.ring.refused), refused);
    // far fewer wake-ups than messages
    loop_turn(&receiver.loop, 0);
    assert_int_equal(metric_get(&receiver.loop.metrics.values[RUNTIME_MAILBOX_RECEIVED]),
                     SENDERS * MESSAGES);
    mailbox_done(&receiver.mailbox);
    loop_done(&receiver.loop);
}

static void test_full_mailbox_refuses_counts_and_discards_what_is_left(void **state)
{
    (void)state;
    static struct receiver receiver;
    memset(&receiver, 0, sizeof(receiver));
    assert_int_equal(loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, 4, &mailbox_ops, &receiver),
                     0);
    struct numbered body = { 0 };
    for (uint32_t i = 0; i < 4; i++) {
        body.number = i;
        body.owned = memory_copy(&(char){ (char)i }, 1);
        assert_int_equal(mailbox_send(&receiver.mailbox, 5, &body, sizeof(body)), 0);
    }
    body.owned = NULL;
    assert_int_equal(mailbox_send(&receiver.mailbox, 5, &body, sizeof(body)), -ENOSPC);
    loop_turn(&receiver.loop, 0);
    assert_int_equal(receiver.count, 4);
    assert_int_equal(metric_get(&receiver.loop.metrics.values[RUNTIME_MAILBOX_REFUSED]), 1);
    body.number = 4;
    body.owned = memory_copy("\4", 1);
    assert_int_equal(mailbox_send(&receiver.mailbox, 5, &body, sizeof(body)), 0);
    mailbox_done(&receiver.mailbox);
    assert_int_equal(receiver.discarded, 1);
    loop_done(&receiver.loop);
}

static void test_a_mailbox_tells_when_it_is_half_full(void **state)
{
    (void)state;
    static struct receiver receiver;
    memset(&receiver, 0, sizeof(receiver));
    assert_int_equal(loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, 16, &mailbox_ops, &receiver),
                     0);
    struct numbered body = { 0 };
    for (int lap = 0; lap < 5; lap++) {
        for (int i = 0; i < 8; i++) {
            assert_false(mailbox_is_crowded(&receiver.mailbox));
            body.number = (uint32_t)(lap * 8 + i);
            body.owned = memory_copy(&(char){ (char)body.number }, 1);
            assert_int_equal(mailbox_send(&receiver.mailbox, 5, &body, sizeof(body)), 0);
        }
        assert_true(mailbox_is_crowded(&receiver.mailbox));
        loop_turn(&receiver.loop, 0);
        assert_false(mailbox_is_crowded(&receiver.mailbox));
    }
    mailbox_done(&receiver.mailbox);
    loop_done(&receiver.loop);
}

static void test_a_turn_takes_a_bounded_number_of_messages(void **state)
{
    (void)state;
    static struct receiver receiver;
    memset(&receiver, 0, sizeof(receiver));
    assert_int_equal(loop_init(&receiver.loop), 0);
    assert_int_equal(mailbox_init(&receiver.mailbox, &receiver.loop, 1024, &mailbox_ops, &receiver),
                     0);
    for (uint32_t i = 0; i < 600; i++) {
        struct numbered body = { 0, i, memory_copy(&(char){ (char)i }, 1) };
        assert_int_equal(mailbox_send(&receiver.mailbox, 5, &body, sizeof(body)), 0);
    }
    loop_turn(&receiver.loop, 0);
    assert_int_equal(receiver.count, MAILBOX_TURN_MAX);
    turn_until(&receiver.loop, receiver.count == 600);
    mailbox_done(&receiver.mailbox);
    loop_done(&receiver.loop);
}

struct owner {
    struct loop loop;
    struct handoff handoff;
    size_t count;
    size_t sum;
};

static void on_handed(void *owner_pointer, const struct udp_datagram *datagrams, size_t count)
{
    struct owner *owner = owner_pointer;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(datagrams[i].path.remote.port, datagrams[i].size);
        for (size_t j = 0; j < datagrams[i].size; j++)
            assert_int_equal(datagrams[i].data[j], (uint8_t)datagrams[i].size);
        owner->sum += datagrams[i].size;
    }
    owner->count += count;
}

struct giver {
    pthread_t thread;
    struct owner *owner;
    size_t given;
    size_t sum;
};

static void *give_all(void *argument)
{
    struct giver *giver = argument;
    uint8_t bytes[DATAGRAM_SIZE_MAX];
    for (size_t i = 0; i < 3000; i++) {
        size_t size = 1 + i % 1500;
        memset(bytes, (int)(uint8_t)size, size);
        struct udp_datagram datagram = { .data = bytes, .size = size };
        datagram.path.remote = net_address_ipv4(192, 0, 2, 1, (uint16_t)size);
        if (handoff_give(&giver->owner->handoff, &datagram)) {
            giver->given++;
            giver->sum += size;
        }
    }
    return NULL;
}

static void test_handed_over_datagrams_arrive_whole_or_are_counted(void **state)
{
    (void)state;
    static struct owner owner;
    assert_int_equal(loop_init(&owner.loop), 0);
    assert_int_equal(handoff_init(&owner.handoff, &owner.loop, 64, on_handed, &owner), 0);
    struct giver givers[3];
    for (size_t i = 0; i < array_size(givers); i++) {
        givers[i] = (struct giver){ .owner = &owner };
        pthread_create(&givers[i].thread, NULL, give_all, &givers[i]);
    }
    for (int i = 0; i < 2000; i++)
        loop_turn(&owner.loop, 100);
    size_t given = 0, sum = 0;
    for (size_t i = 0; i < array_size(givers); i++) {
        pthread_join(givers[i].thread, NULL);
        given += givers[i].given;
        sum += givers[i].sum;
    }
    turn_until(&owner.loop, owner.count == given);
    assert_true(given > 0);
    assert_int_equal(owner.sum, sum);
    const metric_value *metrics = owner.loop.metrics.values;
    assert_int_equal(metric_get(&metrics[RUNTIME_HANDOFF_RECEIVED]), given);
    // the counter is brought up to date when the owner runs
    struct udp_datagram last = { .data = (uint8_t[]){ 1 }, .size = 1 };
    last.path.remote.port = 1;
    assert_true(handoff_give(&owner.handoff, &last));
    turn_until(&owner.loop, owner.count == given + 1);
    assert_int_equal(metric_get(&metrics[RUNTIME_HANDOFF_REFUSED]), 3 * 3000 - given);
    last.size = DATAGRAM_SIZE_MAX + 1;
    assert_false(handoff_give(&owner.handoff, &last));
    handoff_done(&owner.handoff);
    loop_done(&owner.loop);
}

// --- packets ---

#define BURST 16

struct burst {
    struct packet *packets[BURST];
};

struct burst_reader {
    struct loop loop;
    struct mailbox mailbox;
    pthread_t thread;
    size_t packets;
    uint64_t sum;
};

static void on_burst(void *owner, const struct message *message)
{
    struct burst_reader *reader = owner;
    const struct burst *burst = message_body(message, struct burst);
    for (size_t i = 0; i < BURST; i++) {
        struct packet *packet = burst->packets[i];
        if (!packet) {
            loop_stop(&reader->loop);
            return;
        }
        ensure(packet->bytes[packet->size - 1] == (uint8_t)packet->size);
        reader->sum += *packet_metadata(packet, uint64_t);
        reader->packets++;
        packet_unref(packet);
    }
}

static const struct mailbox_ops burst_ops = { .received = on_burst };

static void *read_bursts(void *argument)
{
    struct burst_reader *reader = argument;
    loop_run(&reader->loop);
    return NULL;
}

static void send_burst(struct burst_reader *reader, const struct burst *burst)
{
    while (mailbox_send(&reader->mailbox, 1, burst, sizeof(*burst)) < 0)
        sched_yield();
}

static void test_packets_shared_with_other_threads_come_home_and_are_used_again(void **state)
{
    (void)state;
    enum { READERS = 3, BURSTS = 2000, LIMIT = 200 };
    struct packet_pool pool;
    packet_pool_init(&pool, LIMIT);
    static struct burst_reader readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(loop_init(&readers[i].loop), 0);
        assert_int_equal(
            mailbox_init(&readers[i].mailbox, &readers[i].loop, 64, &burst_ops, &readers[i]), 0);
        pthread_create(&readers[i].thread, NULL, read_bursts, &readers[i]);
    }
    uint64_t number = 0, sum = 0;
    for (size_t b = 0; b < BURSTS; b++) {
        struct burst burst;
        for (size_t i = 0; i < BURST; i++) {
            struct packet *packet;
            uint32_t size = 1 + (uint32_t)(number % PACKET_BYTES_MAX);
            while (!(packet = packet_pool_take(&pool, size)))
                sched_yield(); // the limit: readers have them all
            packet->size = size;
            packet->bytes[packet->size - 1] = (uint8_t)packet->size;
            *packet_metadata(packet, uint64_t) = number;
            sum += number++;
            packet_ref_many(packet, READERS - 1);
            burst.packets[i] = packet;
        }
        for (size_t i = 0; i < READERS; i++)
            send_burst(&readers[i], &burst);
    }
    for (size_t i = 0; i < READERS; i++)
        send_burst(&readers[i], &(struct burst){ 0 });
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].packets, BURSTS * BURST);
        assert_int_equal(readers[i].sum, sum);
        mailbox_done(&readers[i].mailbox);
        loop_done(&readers[i].loop);
    }
    assert_true(packet_pool_bytes(&pool) <= (LIMIT + 14) * 2400);
    assert_int_equal(packet_pool_in_use(&pool), 0);
    assert_int_equal(packet_pool_done(&pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_of_many_threads_arrive_once_and_in_each_senders_order),
        cmocka_unit_test(test_full_mailbox_refuses_counts_and_discards_what_is_left),
        cmocka_unit_test(test_a_mailbox_tells_when_it_is_half_full),
        cmocka_unit_test(test_a_turn_takes_a_bounded_number_of_messages),
        cmocka_unit_test(test_handed_over_datagrams_arrive_whole_or_are_counted),
        cmocka_unit_test(test_packets_shared_with_other_threads_come_home_and_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
