// What a stranger on the path can and cannot do; and ClientHellos in pieces.
#include "dtls_pair.h"

#include "proto/dtls/dtls_int.h"

struct datagram {
    uint8_t data[2048];
    size_t size;
};

/** The datagrams that one side has to send now. */
static size_t take_output(struct dtls *dtls, uint64_t now_us, struct datagram *out, size_t capacity)
{
    struct datagram_batch batch;
    datagram_batch_init(&batch, 64 << 10, 64);
    struct net_path path = { 0 };
    dtls_output(dtls, now_us, &path, &batch);
    struct datagram_cursor cursor = { 0 };
    const uint8_t *data;
    size_t size, count = 0;
    while (datagram_batch_next(&batch, &cursor, &path, &data, &size)) {
        assert_true(count < capacity && size <= sizeof(out->data));
        memcpy(out[count].data, data, size);
        out[count++].size = size;
    }
    datagram_batch_done(&batch);
    return count;
}

/**
 * Cuts the one handshake message of a plaintext record into fragments (RFC 6347, 4.2.3), with
 * record sequence numbers that the client then counts as used.
 */
static size_t split_hello(struct dtls *client, const struct datagram *hello, size_t piece,
                          struct datagram *out, size_t capacity)
{
    const uint8_t *message = hello->data + 13 + 12;
    size_t length = load_u24(hello->data + 14), count = 0;
    assert_int_equal(hello->size, 13 + 12 + length);
    for (size_t at = 0; at < length; at += piece) {
        size_t size = min_of(piece, length - at);
        assert_true(count < capacity);
        struct writer writer = writer_of(out[count].data, sizeof(out->data));
        writer_bytes(&writer, hello->data, 3);
        writer_u16(&writer, 0);
        writer_u16(&writer, 0);
        writer_u32(&writer, (uint32_t)client->flight.next_sequence++);
        writer_u16(&writer, (uint16_t)(12 + size));
        writer_u8(&writer, hello->data[13]);
        writer_u24(&writer, (uint32_t)length);
        writer_u16(&writer, load_u16(hello->data + 17));
        writer_u24(&writer, (uint32_t)at);
        writer_u24(&writer, (uint32_t)size);
        writer_bytes(&writer, message + at, size);
        assert_false(writer.failed);
        out[count++].size = writer.size;
    }
    return count;
}

static void shuffle(struct random *random, struct datagram *datagrams, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(random, (uint32_t)i);
        struct datagram other = datagrams[i - 1];
        datagrams[i - 1] = datagrams[j];
        datagrams[j] = other;
    }
}

static void give(struct pair *pair, const struct datagram *datagram)
{
    uint8_t *copy = malloc(datagram->size);
    memcpy(copy, datagram->data, datagram->size);
    dtls_input(pair->peers[1], pair->now_us, bytes_of(copy, datagram->size));
    free(copy);
}

static void test_a_hello_in_pieces_is_reassembled_in_any_order(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1200, 150, 100, 61, 17, 8 };
    struct pair pair;
    pair_prepare(&pair, 11);
    for (size_t p = 0; p < array_size(pieces); p++) {
        for (int round = 0; round < 6; round++) {
            pair_start(&pair, NULL, NULL);
            static struct datagram hello[2], fragments[64];
            assert_int_equal(take_output(pair.peers[0], pair.now_us, hello, 2), 1);
            size_t count =
                split_hello(pair.peers[0], &hello[0], pieces[p], fragments, array_size(fragments));
            if (round > 0)
                shuffle(&pair.random, fragments, count);
            for (size_t i = 0; i + 1 < count; i++) {
                give(&pair, &fragments[i]);
                assert_false(dtls_has_output(pair.peers[1])); // no cookie, no early answer
            }
            give(&pair, &fragments[count - 1]);
            assert_true(dtls_has_output(pair.peers[1]));
            pair_run_until_connected(&pair, 90000); // without a retransmission
            check_same_keys(&pair);
            pair_stop(&pair);
        }
    }
    pair_done(&pair);
}

static void test_lost_pieces_of_a_hello_come_with_its_retransmission(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 12);
    for (int round = 0; round < 40; round++) {
        pair_start(&pair, NULL, NULL);
        static struct datagram hello[2], fragments[64];
        assert_int_equal(take_output(pair.peers[0], pair.now_us, hello, 2), 1);
        size_t sent = 0;
        while (!dtls_has_output(pair.peers[1])) {
            // each time cut elsewhere, shuffled, half of it lost, some twice
            size_t piece = 20 + random_below(&pair.random, 120);
            size_t count =
                split_hello(pair.peers[0], &hello[0], piece, fragments, array_size(fragments));
            shuffle(&pair.random, fragments, count);
            for (size_t i = 0; i < count; i++) {
                if (random_below(&pair.random, 2))
                    give(&pair, &fragments[i]);
                if (random_below(&pair.random, 4) == 0)
                    give(&pair, &fragments[i]);
            }
            assert_true(++sent < 60);
        }
        pair_run_until_connected(&pair, 2000000);
        check_same_keys(&pair);
        pair_stop(&pair);
    }
    pair_done(&pair);
}

static uint64_t counted(const struct pair *pair, size_t who, enum dtls_metric metric)
{
    return metric_get(&pair->metrics[who][metric]);
}

static void test_a_flood_before_the_handshake_meets_a_limit(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 13);
    struct datagram flood = { .size = 13 + 12 + 1000 };
    int refused = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        struct writer writer = writer_of(flood.data, sizeof(flood.data));
        writer_u8(&writer, 22);
        writer_u16(&writer, 0xfefd);
        writer_u16(&writer, 0);
        writer_u16(&writer, 0);
        writer_u32(&writer, i);
        writer_u16(&writer, 12 + 1000);
        writer_u8(&writer, 1);
        writer_u24(&writer, 16000);
        writer_u16(&writer, (uint16_t)(i % 9)); // future messages, never finished
        writer_u24(&writer, i / 9 % 15 * 1000);
        writer_u24(&writer, 1000);
        refused +=
            dtls_input(pair.peers[1], pair.now_us, bytes_of(flood.data, flood.size)) == -ENOBUFS;
    }
    assert_true(refused > 4800);
    assert_int_equal(counted(&pair, 1, DTLS_METRIC_DROP_LIMIT), refused);
    // claims of huge messages and far sequence numbers
    store_u24(flood.data + 14, 0xffffff);
    assert_int_equal(dtls_input(pair.peers[1], pair.now_us, bytes_of(flood.data, flood.size)),
                     -ENOBUFS);
    // the association ends in time
    pair_run(&pair, 31000000);
    assert_true(pair.ended[1]);
    pair_done(&pair);
}

static void test_encrypted_records_before_keys_are_held_in_small_number(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 14);
    uint8_t record[13 + 40] = { 22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40 };
    int accepted = 0;
    for (uint8_t i = 0; i < 100; i++) {
        record[10] = i;
        accepted += dtls_input(pair.peers[1], pair.now_us, bytes_of(record, sizeof(record))) == 0;
    }
    assert_int_equal(accepted, 8);
    pair_run_until_connected(&pair, 3000000); // the handshake goes on regardless
    check_same_keys(&pair);
    pair_done(&pair);
}

static void test_garbage_does_not_disturb_a_handshake(void **state)
{
    (void)state;
    struct pair pair;
    pair_prepare(&pair, 15);
    for (int round = 0; round < 30; round++) {
        pair_start(&pair, NULL, NULL);
        for (int i = 0; i < 20; i++) {
            uint8_t garbage[200];
            random_fill(&pair.random, garbage, sizeof(garbage));
            garbage[0] = (uint8_t)(24 + random_below(&pair.random, 40)); // DTLS 1.3 and beyond
            assert_int_equal(dtls_input(pair.peers[1], pair.now_us,
                                        bytes_of(garbage, random_below(&pair.random, 200))),
                             -EINVAL);
            pair_step(&pair, pair.now_us + 5000);
        }
        pair_run_until_connected(&pair, 2000000);
        check_same_keys(&pair);
        pair_stop(&pair);
    }
    assert_true(counted(&pair, 1, DTLS_METRIC_DROP_MALFORMED) > 500);
    pair_done(&pair);
}

/** Connects and returns one sealed datagram of the client's with application data. */
static struct datagram connected_with_data(struct pair *pair, uint64_t seed)
{
    pair_init(pair, seed);
    pair_run_until_connected(pair, 2000000);
    check_same_keys(pair);
    assert_int_equal(dtls_send(pair->peers[0], bytes_of("hello", 5)), 0);
    struct datagram datagrams[4];
    assert_int_equal(take_output(pair->peers[0], pair->now_us, datagrams, 4), 1);
    return datagrams[0];
}

static void test_forged_and_replayed_records_are_dropped(void **state)
{
    (void)state;
    struct pair pair;
    struct datagram sealed = connected_with_data(&pair, 16);
    struct bytes data;
    for (size_t i = 0; i < sealed.size; i++) {
        struct datagram forged = sealed;
        forged.data[i] ^= 0x04;
        assert_true(dtls_input(pair.peers[1], pair.now_us, bytes_of(forged.data, forged.size)) !=
                        0 ||
                    i == 0); // another type: then it is a handshake record, looked at no further
        assert_false(dtls_data(pair.peers[1], &data));
    }
    assert_int_equal(dtls_input(pair.peers[1], pair.now_us, bytes_of(sealed.data, sealed.size)), 0);
    assert_true(dtls_data(pair.peers[1], &data));
    assert_true(text_equal(data, "hello"));
    assert_false(dtls_data(pair.peers[1], &data));
    assert_int_equal(dtls_input(pair.peers[1], pair.now_us, bytes_of(sealed.data, sealed.size)),
                     -EALREADY);
    assert_int_equal(counted(&pair, 1, DTLS_METRIC_DROP_REPLAYED), 1);
    assert_true(counted(&pair, 1, DTLS_METRIC_DROP_UNAUTHENTIC) > 20);
    assert_true(dtls_connected(pair.peers[1]));
    pair_done(&pair);
}

static void test_a_forged_plaintext_alert_does_not_close(void **state)
{
    (void)state;
    struct pair pair;
    connected_with_data(&pair, 17);
    static const uint8_t alert[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0 };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(dtls_input(pair.peers[i], pair.now_us, bytes_of(alert, sizeof(alert))),
                         -EPROTO);
    pair_run(&pair, 100000);
    assert_true(dtls_connected(pair.peers[0]) && dtls_connected(pair.peers[1]));
    pair_done(&pair);
}

static void test_repeated_handshakes_are_answered_seldom(void **state)
{
    (void)state;
    struct pair pair;
    connected_with_data(&pair, 18);
    pair_run(&pair, 100000);
    uint32_t before = pair.bytes_sent[1];
    uint8_t record[13 + 40] = { 22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 77, 0, 40 };
    for (int i = 0; i < 1000; i++) {
        dtls_input(pair.peers[1], pair.now_us, bytes_of(record, sizeof(record)));
        pair_collect(&pair);
        pair.wire_count = 0;
        pair.now_us += 100;
    }
    // 1000 forged records in 0.1 s: two or three small flights at most
    assert_in_range(pair.bytes_sent[1] - before, 1, 3 * 100);
    assert_true(dtls_connected(pair.peers[1]));
    pair_done(&pair);
}

static void test_close_notify_reaches_the_other_side(void **state)
{
    (void)state;
    for (size_t who = 0; who < 2; who++) {
        struct pair pair;
        connected_with_data(&pair, 19);
        dtls_close(pair.peers[who]);
        assert_int_equal(dtls_send(pair.peers[who], bytes_of("x", 1)), -ENOTCONN);
        pair_run(&pair, 100000);
        assert_false(pair.ended[who]);
        assert_true(pair.ended[1 - who]);
        assert_int_equal(pair.end_kinds[1 - who], DTLS_CLOSED);
        assert_text_equal(pair.reasons[1 - who], "The peer has closed the connection.");
        assert_int_equal(dtls_send(pair.peers[1 - who], bytes_of("x", 1)), -ENOTCONN);
        assert_int_equal(counted(&pair, 1 - who, DTLS_METRIC_CLOSED), 1);
        pair_done(&pair);
    }
}

static void test_application_data_passes_both_ways_within_limits(void **state)
{
    (void)state;
    struct pair pair;
    connected_with_data(&pair, 20);
    uint8_t message[1200];
    random_fill(&pair.random, message, sizeof(message));
    size_t largest = dtls_data_size_max(pair.peers[0]);
    assert_int_equal(largest, 1200 - 37);
    assert_int_equal(dtls_send(pair.peers[0], bytes_of(message, largest + 1)), -EMSGSIZE);
    for (int i = 0; i < 200; i++) {
        size_t who = (size_t)i & 1;
        size_t size = i == 0 ? largest : random_below(&pair.random, (uint32_t)largest);
        assert_int_equal(dtls_send(pair.peers[who], bytes_of(message, size)), 0);
        pair_run(&pair, WIRE_DELAY_US + 1);
        struct bytes data;
        assert_true(dtls_data(pair.peers[1 - who], &data));
        assert_true(bytes_equal(data, bytes_of(message, size)));
    }
    int result = 0, queued = 0;
    while (result == 0 && queued < 1000) {
        result = dtls_send(pair.peers[0], bytes_of(message, largest));
        queued++;
    }
    assert_int_equal(result, -ENOBUFS); // nobody takes the output
    assert_in_range(queued, 40, 60);
    pair_done(&pair);
}

static void test_srtp_is_required_only_when_asked_for(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 21);
    pair_stop(&pair);
    // a client that only speaks a profile of which the server has none
    dtls_context_unref(pair.contexts[1]);
    assert_int_equal(dtls_context_new_with(pair.certificates[1], "SRTP_AES128_CM_SHA1_32", NULL,
                                           &pair.contexts[1]),
                     0);
    pair_start(&pair, NULL, NULL);
    pair_run(&pair, 1000000);
    assert_true(pair.ended[1]);
    assert_int_equal(pair.end_kinds[1], DTLS_FAILED);
    assert_non_null(strstr(pair.reasons[1], "no SRTP protection profile"));
    pair_stop(&pair);
    struct dtls_fingerprint fingerprints[2] = { fingerprint_of(pair.certificates[0]),
                                                fingerprint_of(pair.certificates[1]) };
    for (size_t i = 0; i < 2; i++)
        pair.peers[i] = dtls_new(&(struct dtls_config){ .context = pair.contexts[i],
                                                        .client = i == 0,
                                                        .fingerprints = &fingerprints[1 - i],
                                                        .fingerprint_count = 1 },
                                 pair.now_us);
    pair_run_until_connected(&pair, 2000000);
    assert_true(pair.connected[0] && pair.connected[1]);
    assert_int_equal(pair.events[1].keys.profile, 0);
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_in_pieces_is_reassembled_in_any_order),
        cmocka_unit_test(test_lost_pieces_of_a_hello_come_with_its_retransmission),
        cmocka_unit_test(test_a_flood_before_the_handshake_meets_a_limit),
        cmocka_unit_test(test_encrypted_records_before_keys_are_held_in_small_number),
        cmocka_unit_test(test_garbage_does_not_disturb_a_handshake),
        cmocka_unit_test(test_forged_and_replayed_records_are_dropped),
        cmocka_unit_test(test_a_forged_plaintext_alert_does_not_close),
        cmocka_unit_test(test_repeated_handshakes_are_answered_seldom),
        cmocka_unit_test(test_close_notify_reaches_the_other_side),
        cmocka_unit_test(test_application_data_passes_both_ways_within_limits),
        cmocka_unit_test(test_srtp_is_required_only_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
