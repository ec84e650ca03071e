// Whose turn it is, and what may wait.
#include <errno.h>

#include "proto/sctp/sctp_send_queue_int.h"
#include "support/check.h"

#define FRAGMENT 1000u

static int add(struct sctp_send_queue *queue, uint16_t stream, size_t size)
{
    uint8_t *at;
    struct blob *content = blob_new_uninit(size, &at);
    assert_non_null(content);
    memset(at, 0, size);
    int error = sctp_send_queue_add(queue, 0,
                                    &(struct sctp_message){ .stream = stream,
                                                            .retransmits_max = UINT32_MAX,
                                                            .content = content });
    blob_unref(content);
    return error;
}

/** Sends and acknowledges the next chunk. Returns its stream. */
static uint16_t serve(struct sctp_send_queue *queue, uint32_t *ret_size)
{
    struct sctp_outgoing *message = sctp_send_queue_next(queue);
    assert_non_null(message);
    uint16_t stream = message->stream->id;
    uint32_t size = min_of(FRAGMENT, message->size - message->sent);
    sctp_send_queue_take(queue, message, size, 1);
    sctp_send_queue_chunk_done(queue, message, size);
    *ret_size = size;
    return stream;
}

static void test_interleaved_streams_share_by_weight(void **state unused)
{
    struct sctp_send_queue queue;
    sctp_send_queue_init(&queue, 1u << 20);
    queue.interleaving = true;
    sctp_send_queue_stream(&queue, 2)->weight = 768;
    for (uint16_t stream = 1; stream <= 2; stream++)
        assert_int_equal(add(&queue, stream, 400 * FRAGMENT), 0);
    uint32_t served[3] = { 0 };
    for (int i = 0; i < 400; i++) {
        uint32_t size;
        served[serve(&queue, &size)]++;
    }
    assert_in_range(served[2], 298, 302);
    sctp_send_queue_done(&queue);
}

static void test_a_small_message_does_not_wait_for_a_large_one(void **state unused)
{
    for (int interleaving = 0; interleaving < 2; interleaving++) {
        struct sctp_send_queue queue;
        sctp_send_queue_init(&queue, 1u << 20);
        queue.interleaving = interleaving;
        assert_int_equal(add(&queue, 1, 100 * FRAGMENT), 0);
        uint32_t size, waited = 0;
        for (int i = 0; i < 10; i++)
            assert_int_equal(serve(&queue, &size), 1);
        assert_int_equal(add(&queue, 2, 10), 0);
        while (serve(&queue, &size) == 1)
            waited++;
        // fragments of one message follow each other where they may not be interleaved
        assert_int_equal(waited, interleaving ? 0 : 90);
        sctp_send_queue_done(&queue);
    }
}

static void test_without_interleaving_messages_take_turns(void **state unused)
{
    struct sctp_send_queue queue;
    sctp_send_queue_init(&queue, 1u << 20);
    for (int i = 0; i < 10; i++)
        assert_int_equal(add(&queue, 1, 5 * FRAGMENT), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(add(&queue, 2, FRAGMENT), 0);
    uint32_t size, bytes[3] = { 0 };
    for (int i = 0; i < 50; i++) {
        uint16_t stream = serve(&queue, &size);
        bytes[stream] += size;
    }
    assert_in_range(bytes[1], 20 * FRAGMENT, 30 * FRAGMENT);
    sctp_send_queue_done(&queue);
}

static void test_the_capacity_counts_bytes_and_messages(void **state unused)
{
    struct sctp_send_queue queue;
    sctp_send_queue_init(&queue, 10000);
    assert_int_equal(add(&queue, 1, 0), -EMSGSIZE);
    assert_int_equal(add(&queue, 1, 10001), -EMSGSIZE);
    assert_int_equal(add(&queue, 1, 10000), 0); // one may fill it
    assert_int_equal(add(&queue, 2, 1), -EAGAIN);
    assert_int_equal(queue.buffered, 10000);
    uint32_t size;
    while (sctp_send_queue_next(&queue))
        serve(&queue, &size);
    assert_int_equal(queue.buffered, 0);
    int count = 0;
    while (add(&queue, 1, 1) == 0)
        count++;
    assert_in_range(count, 10000 / (SCTP_MESSAGE_COST + 1), 10000 / SCTP_MESSAGE_COST);
    sctp_send_queue_done(&queue);
}

static void test_what_is_given_up_makes_room(void **state unused)
{
    struct sctp_send_queue queue;
    sctp_send_queue_init(&queue, 10000);
    assert_int_equal(add(&queue, 1, 5000), 0);
    struct sctp_outgoing *message = sctp_send_queue_next(&queue);
    sctp_send_queue_take(&queue, message, 1000, 7);
    assert_int_equal(add(&queue, 1, 100), 0);
    sctp_send_queue_give_up(&queue, message);
    assert_int_equal(queue.buffered, 1100);
    assert_int_equal(sctp_send_queue_next(&queue)->size, 100);
    sctp_send_queue_chunk_done(&queue, message, 1000); // the last chunk frees it
    assert_int_equal(queue.messages, 1);
    sctp_send_queue_give_up(&queue, sctp_send_queue_next(&queue));
    assert_int_equal(queue.buffered, 0);
    assert_null(sctp_send_queue_next(&queue));
    sctp_send_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interleaved_streams_share_by_weight),
        cmocka_unit_test(test_a_small_message_does_not_wait_for_a_large_one),
        cmocka_unit_test(test_without_interleaving_messages_take_turns),
        cmocka_unit_test(test_the_capacity_counts_bytes_and_messages),
        cmocka_unit_test(test_what_is_given_up_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
