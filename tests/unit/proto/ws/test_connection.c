#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/ws/ws_connection.h"
#include "proto/ws/ws_frame.h"

#define NOW 1000000ull

static const struct ws_deflate deflate_on = { true, true, true, 15, 15 };
static struct random seeded;

static struct ws_connection *server_new(size_t message_size_max, bool deflate)
{
    struct ws_config config = { .message_size_max = message_size_max };
    if (deflate)
        config.deflate = deflate_on;
    return ws_connection_new(&config, NOW);
}

static struct ws_connection *client_new(bool deflate)
{
    random_seeded_init(&seeded, 3);
    struct ws_config config = { .is_client = true, .random = &seeded };
    if (deflate)
        config.deflate = deflate_on;
    return ws_connection_new(&config, NOW);
}

/** Gives bytes in pieces, each in memory of its own; returns the first event but pongs. */
static bool give(struct ws_connection *ws, const void *data, size_t size, size_t piece,
                 struct ws_event *ret_event)
{
    bool found = false;
    for (size_t at = 0; at < size && !found; at += piece) {
        size_t count = min_of(piece, size - at);
        uint8_t *copy = test_malloc(count);
        memcpy(copy, (const uint8_t *)data + at, count);
        for (size_t done = 0; done < count && !found;) {
            done += ws_connection_input(ws, NOW, bytes_of(copy + done, count - done));
            found = ws_connection_event(ws, ret_event);
        }
        test_free(copy);
    }
    return found;
}

/** Writes a client's frame with the mask 1 2 3 4. */
static size_t frame(uint8_t *out, uint8_t first, const void *payload, size_t size)
{
    struct ws_frame head = { .is_final = first & 0x80,
                             .is_compressed = first & 0x40,
                             .reserved = first & 0x30,
                             .is_masked = true,
                             .opcode = first & 15,
                             .mask = { 1, 2, 3, 4 },
                             .size = size };
    size_t at = ws_frame_write(&head, out);
    memcpy(out + at, payload, size);
    ws_mask_apply(head.mask, 0, out + at, size);
    return at + size;
}

static void test_frames_of_the_rfc_are_read(void **state)
{
    (void)state;
    // RFC 6455, 5.7: a masked "Hello", then in the client's direction an unmasked one
    static const uint8_t masked[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                      0x7f, 0x9f, 0x4d, 0x51, 0x58 };
    static const uint8_t unmasked[] = { 0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f };
    for (size_t piece = 1; piece <= sizeof(masked); piece++) {
        struct ws_connection *server = server_new(0, false);
        struct ws_connection *client = client_new(false);
        struct ws_event event;
        assert_true(give(server, masked, sizeof(masked), piece, &event));
        assert_int_equal(event.kind, WS_EVENT_TEXT);
        assert_true(text_equal(event.data, "Hello"));
        assert_true(give(client, unmasked, sizeof(unmasked), piece, &event));
        assert_true(text_equal(event.data, "Hello"));
        ws_connection_free(server);
        ws_connection_free(client);
    }
}

static void test_compressed_frames_of_the_rfc_are_read(void **state)
{
    (void)state;
    // RFC 7692, 7.2.3: one block, two fragments, a stored block, a final block
    static const struct {
        uint8_t bytes[20];
        size_t size;
    } cases[] = {
        { { 0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00 }, 9 },
        { { 0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00 }, 11 },
        { { 0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00 }, 13 },
        { { 0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00 }, 10 },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        for (size_t piece = 1; piece < 20; piece += 5) {
            struct ws_connection *client = client_new(true);
            struct ws_event event;
            assert_true(give(client, cases[i].bytes, cases[i].size, piece, &event));
            assert_int_equal(event.kind, WS_EVENT_TEXT);
            assert_true(text_equal(event.data, "Hello"));
            ws_connection_free(client);
        }
    }
}

static void test_context_takeover_of_a_server_is_followed(void **state)
{
    (void)state;
    random_seeded_init(&seeded, 3);
    struct ws_config config = { .is_client = true, .random = &seeded, .deflate = deflate_on };
    config.deflate.server_no_context_takeover = false;
    struct ws_connection *client = ws_connection_new(&config, NOW);
    // RFC 7692, 7.2.3.2: the second message refers to the first
    static const uint8_t first[] = { 0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00 };
    static const uint8_t second[] = { 0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00 };
    struct ws_event event;
    assert_true(give(client, first, sizeof(first), 100, &event));
    assert_true(give(client, second, sizeof(second), 100, &event));
    assert_int_equal(event.kind, WS_EVENT_TEXT);
    assert_true(text_equal(event.data, "Hello"));
    ws_connection_free(client);
}

/** Moves all output of one side to the other; the last event stays in `ret_event`. */
static bool carry(struct ws_connection *from, struct ws_connection *to, struct ws_event *ret_event)
{
    struct bytes output = ws_connection_output(from);
    uint8_t *copy = output.size ? malloc(output.size) : NULL;
    if (copy)
        memcpy(copy, output.data, output.size);
    bool found = copy && give(to, copy, output.size, 777, ret_event);
    ws_connection_output_taken(from, output.size);
    free(copy);
    return found;
}

static void test_messages_of_all_sizes_arrive(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 255, 256, 1000, 65535, 65536 };
    for (int deflate = 0; deflate < 2; deflate++) {
        struct ws_connection *client = client_new(deflate);
        struct ws_connection *server = server_new(0, deflate);
        for (size_t i = 0; i < array_size(sizes); i++) {
            uint8_t *data = malloc(sizes[i] + 1);
            for (size_t k = 0; k < sizes[i]; k++)
                data[k] = (uint8_t)('a' + k * k % 7);
            struct ws_event event;
            assert_int_equal(ws_connection_send_text(client, bytes_of(data, sizes[i])), 0);
            if (deflate && sizes[i] >= 1000)
                assert_true(ws_connection_output_size(client) < sizes[i] / 2);
            assert_true(carry(client, server, &event));
            assert_int_equal(event.kind, WS_EVENT_TEXT);
            assert_true(bytes_equal(event.data, bytes_of(data, sizes[i])));
            assert_int_equal(ws_connection_send_binary(server, bytes_of(data, sizes[i])), 0);
            assert_true(carry(server, client, &event));
            assert_int_equal(event.kind, WS_EVENT_BINARY);
            assert_true(bytes_equal(event.data, bytes_of(data, sizes[i])));
            free(data);
        }
        ws_connection_free(client);
        ws_connection_free(server);
    }
}

static void test_random_data_that_does_not_shrink_is_sent_as_it_is(void **state)
{
    (void)state;
    struct ws_connection *client = client_new(true);
    struct ws_connection *server = server_new(0, true);
    uint8_t data[4000];
    struct random random;
    random_seeded_init(&random, 1);
    random_fill(&random, data, sizeof(data));
    assert_int_equal(ws_connection_send_binary(client, bytes_of(data, sizeof(data))), 0);
    assert_int_equal(ws_connection_output(client).data[0], 0x82);
    struct ws_event event;
    assert_true(carry(client, server, &event));
    assert_true(bytes_equal(event.data, bytes_of(data, sizeof(data))));
    ws_connection_free(client);
    ws_connection_free(server);
}

struct violation {
    uint8_t frames[3];
    const char *payloads[3];
    enum ws_refusal refusal;
};

static void test_violations_fail_the_connection_with_their_code(void **state)
{
    (void)state;
    static const struct violation cases[] = {
        { { 0xc1 }, { "x" }, WS_REFUSAL_RESERVED_BITS },
        { { 0xa1 }, { "x" }, WS_REFUSAL_RESERVED_BITS },
        { { 0x91 }, { "x" }, WS_REFUSAL_RESERVED_BITS },
        { { 0x83 }, { "x" }, WS_REFUSAL_UNKNOWN_OPCODE },
        { { 0x8b }, { "x" }, WS_REFUSAL_UNKNOWN_OPCODE },
        { { 0x09 }, { "x" }, WS_REFUSAL_FRAGMENTED_CONTROL },
        { { 0x80 }, { "x" }, WS_REFUSAL_UNEXPECTED_CONTINUATION },
        { { 0x01, 0x81 }, { "x", "y" }, WS_REFUSAL_EXPECTED_CONTINUATION },
        { { 0x81 }, { "\xff" }, WS_REFUSAL_BAD_TEXT },
        { { 0x01, 0x80 }, { "\xc3", "x" }, WS_REFUSAL_BAD_TEXT },
        { { 0x81 }, { "\xed\xa0\x80" }, WS_REFUSAL_BAD_TEXT },
        { { 0x88 }, { "\x03" }, WS_REFUSAL_BAD_CLOSE },
        { { 0x88 }, { "\x03\xe7" }, WS_REFUSAL_BAD_CLOSE }, // 999
        { { 0x88 }, { "\x03\xed" }, WS_REFUSAL_BAD_CLOSE }, // 1005
        { { 0x88 }, { "\x03\xee" }, WS_REFUSAL_BAD_CLOSE }, // 1006
        { { 0x88 }, { "\x07\xd1" }, WS_REFUSAL_BAD_CLOSE }, // 2001
        { { 0x88 }, { "\x03\xe8\xff" }, WS_REFUSAL_BAD_CLOSE_TEXT },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct ws_connection *server = server_new(0, false);
        struct ws_event event = { 0 };
        bool found = false;
        for (size_t k = 0; k < 3 && cases[i].payloads[k] && !found; k++) {
            uint8_t bytes[100];
            size_t size = frame(bytes, cases[i].frames[k], cases[i].payloads[k],
                                strlen(cases[i].payloads[k]));
            found = give(server, bytes, size, 1, &event);
        }
        if (!found || event.kind != WS_EVENT_CLOSED || event.refusal != cases[i].refusal)
            fail_msg("case %zu: %s", i, ws_refusal_label(event.refusal));
        assert_int_equal(event.code, ws_refusal_code(cases[i].refusal));
        struct bytes output = ws_connection_output(server);
        assert_int_equal(output.data[0], 0x88);
        assert_int_equal(load_u16(output.data + 2), event.code);
        ws_connection_free(server);
    }
}

static void expect_failure(struct ws_connection *ws, const uint8_t *bytes, size_t size,
                           enum ws_refusal refusal)
{
    struct ws_event event;
    assert_true(give(ws, bytes, size, size, &event));
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.refusal, refusal);
    ws_connection_free(ws);
}

static void test_masks_and_lengths_are_checked(void **state)
{
    (void)state;
    expect_failure(server_new(0, false), (const uint8_t[]){ 0x81, 0x01, 'x' }, 3,
                   WS_REFUSAL_NOT_MASKED);
    expect_failure(client_new(false), (const uint8_t[]){ 0x81, 0x81, 0, 0, 0, 0, 'x' }, 7,
                   WS_REFUSAL_MASKED);
    expect_failure(client_new(false), (const uint8_t[]){ 0x82, 126, 0, 125 }, 4,
                   WS_REFUSAL_LONG_LENGTH);
    expect_failure(client_new(false), (const uint8_t[]){ 0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff },
                   10, WS_REFUSAL_LONG_LENGTH);
    expect_failure(client_new(false), (const uint8_t[]){ 0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0 }, 10,
                   WS_REFUSAL_LONG_LENGTH);
    expect_failure(client_new(false), (const uint8_t[]){ 0x89, 126, 0, 126 }, 4,
                   WS_REFUSAL_LARGE_CONTROL);
    // refused by its header: nothing of it is held
    expect_failure(client_new(false), (const uint8_t[]){ 0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0 }, 10,
                   WS_REFUSAL_MESSAGE_TOO_BIG);
}

static void test_the_limit_counts_all_fragments(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(10, false);
    uint8_t bytes[100];
    size_t size = frame(bytes, 0x01, "1234567", 7);
    size += frame(bytes + size, 0x80, "89ab", 4);
    expect_failure(server, bytes, size, WS_REFUSAL_MESSAGE_TOO_BIG);
    server = server_new(10, false);
    size = frame(bytes, 0x01, "1234567", 7);
    size += frame(bytes + size, 0x80, "890", 3);
    struct ws_event event;
    assert_true(give(server, bytes, size, 2, &event));
    assert_true(text_equal(event.data, "1234567890"));
    ws_connection_free(server);
}

static void test_a_decompression_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    struct ws_config config = {
        .is_client = true, .random = &seeded, .deflate = deflate_on, .output_size_max = 64u << 20
    };
    random_seeded_init(&seeded, 3);
    struct ws_connection *client = ws_connection_new(&config, NOW);
    size_t size = 32u << 20;
    uint8_t *zeros = calloc(size, 1);
    assert_int_equal(ws_connection_send_binary(client, bytes_of(zeros, size)), 0);
    free(zeros);
    assert_true(ws_connection_output_size(client) < 400000);
    config = (struct ws_config){ .deflate = deflate_on, .message_size_max = 1u << 20 };
    struct ws_connection *server = ws_connection_new(&config, NOW);
    struct ws_event event;
    assert_true(carry(client, server, &event));
    assert_int_equal(event.refusal, WS_REFUSAL_MESSAGE_TOO_BIG);
    assert_int_equal(event.code, 1009);
    ws_connection_free(server);
    ws_connection_free(client);
}

static void test_bad_compressed_data_is_found(void **state)
{
    (void)state;
    uint8_t bytes[40];
    size_t size = frame(bytes, 0xc1, "\xff\xff\xff\xff\xff", 5);
    expect_failure(server_new(0, true), bytes, size, WS_REFUSAL_BAD_DEFLATE);
    // compressed text is checked for UTF-8 as well: a stored block with 0xff in it
    static const uint8_t stored[] = { 0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00 };
    size = frame(bytes, 0xc1, stored, sizeof(stored));
    expect_failure(server_new(0, true), bytes, size, WS_REFUSAL_BAD_TEXT);
}

static void test_control_frames_come_between_fragments(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    uint8_t bytes[100];
    size_t size = frame(bytes, 0x01, "\xc3", 1);
    size += frame(bytes + size, 0x89, "ping", 4);
    size += frame(bytes + size, 0x00, "", 0);
    size += frame(bytes + size, 0x80, "\xa9", 1);
    struct ws_event event;
    assert_true(give(server, bytes, size, 1, &event));
    assert_int_equal(event.kind, WS_EVENT_TEXT);
    assert_true(text_equal(event.data, "\xc3\xa9"));
    assert_memory_equal(ws_connection_output(server).data, "\x8a\x04ping", 6);
    ws_connection_free(server);
}

static void test_too_many_fragments_are_refused(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    uint8_t bytes[20000];
    size_t size = frame(bytes, 0x01, "", 0);
    for (int i = 0; i < 1024; i++)
        size += frame(bytes + size, 0x00, "", 0);
    expect_failure(server, bytes, size, WS_REFUSAL_TOO_MANY_FRAGMENTS);
}

static void test_pings_without_reading_fill_a_bounded_queue(void **state)
{
    (void)state;
    struct ws_config config = { .output_size_max = 1000 };
    struct ws_connection *server = ws_connection_new(&config, NOW);
    uint8_t bytes[200];
    char payload[125] = { 0 };
    size_t size = frame(bytes, 0x89, payload, sizeof(payload));
    struct ws_event event = { 0 };
    for (int i = 0; i < 100 && !give(server, bytes, size, size, &event); i++)
        assert_true(ws_connection_output_size(server) <= 1000 + 1024);
    assert_int_equal(event.refusal, WS_REFUSAL_PING_FLOOD);
    ws_connection_free(server);
}

static void test_a_slow_peer_is_told_to_the_owner(void **state)
{
    (void)state;
    struct ws_config config = { .output_size_max = 100 };
    struct ws_connection *server = ws_connection_new(&config, NOW);
    char text[80] = { 0 };
    assert_int_equal(ws_connection_send_binary(server, bytes_of(text, 80)), 0);
    size_t before = ws_connection_output_size(server);
    assert_int_equal(ws_connection_send_binary(server, bytes_of(text, 80)), -ENOBUFS);
    assert_int_equal(ws_connection_output_size(server), before);
    // even so the close frame gets out
    ws_connection_close(server, NOW, WS_CLOSE_POLICY, "too slow");
    assert_true(ws_connection_output_size(server) > before);
    assert_int_equal(ws_connection_send_binary(server, bytes_of(text, 1)), -EPIPE);
    ws_connection_free(server);
}

static void test_the_closing_handshake_ends_both_sides(void **state)
{
    (void)state;
    struct ws_connection *client = client_new(false);
    struct ws_connection *server = server_new(0, false);
    ws_connection_close(client, NOW, 4001, "bye");
    ws_connection_close(client, NOW, 4002, "again");
    struct ws_event event;
    assert_true(carry(client, server, &event));
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.code, 4001);
    assert_true(text_equal(event.data, "bye"));
    assert_true(carry(server, client, &event));
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.code, 4001);
    assert_int_equal(event.refusal, WS_REFUSAL_NONE);
    ws_connection_stream_ended(client);
    assert_false(ws_connection_event(client, &event)); // only one CLOSED
    ws_connection_free(client);
    ws_connection_free(server);
}

static void test_a_close_without_code_is_answered_in_kind(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    uint8_t bytes[20];
    size_t size = frame(bytes, 0x88, "", 0);
    struct ws_event event;
    assert_true(give(server, bytes, size, size, &event));
    assert_int_equal(event.code, WS_CLOSE_NO_CODE);
    assert_memory_equal(ws_connection_output(server).data, "\x88\x00", 2);
    ws_connection_free(server);
}

static void test_long_reasons_are_cut_between_characters(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    char reason[200];
    for (size_t i = 0; i < 198; i += 2)
        memcpy(reason + i, "\xc3\xa9", 2);
    reason[198] = '\0';
    ws_connection_close(server, NOW, 1000, reason);
    struct bytes output = ws_connection_output(server);
    assert_int_equal(output.size, 2 + 2 + 122);
    assert_true(text_is_utf8(bytes_of(output.data + 4, output.size - 4)));
    ws_connection_free(server);
}

static void test_a_silent_peer_is_found_in_ten_seconds(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    struct ws_event event;
    assert_int_equal(ws_connection_deadline(server), NOW + time_from_s(5));
    ws_connection_tick(server, NOW + time_from_s(5));
    assert_int_equal(ws_connection_output(server).data[0], 0x89);
    assert_false(ws_connection_event(server, &event));
    assert_int_equal(ws_connection_deadline(server), NOW + time_from_s(10));
    ws_connection_tick(server, NOW + time_from_s(10));
    assert_true(ws_connection_event(server, &event));
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.refusal, WS_REFUSAL_PEER_SILENT);
    assert_int_equal(event.code, 1006);
    assert_int_equal(ws_connection_deadline(server), TIME_NEVER);
    ws_connection_free(server);
}

static void test_time_in_which_we_stood_still_is_not_the_peers_silence(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    struct ws_event event;
    // the machine slept for half a minute: the peer is asked, and has its time to answer
    ws_connection_tick(server, NOW + time_from_s(30));
    assert_false(ws_connection_event(server, &event));
    assert_int_equal(ws_connection_output(server).data[0], 0x89);
    assert_int_equal(ws_connection_deadline(server), NOW + time_from_s(35));
    ws_connection_tick(server, NOW + time_from_s(35));
    assert_true(ws_connection_event(server, &event));
    assert_int_equal(event.refusal, WS_REFUSAL_PEER_SILENT);
    ws_connection_free(server);
}

static void test_a_message_must_end_within_a_minute(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    struct ws_event event;
    uint64_t now_us = NOW;
    // the beginning of a text, and then nothing but signs of life
    struct bytes begin = bytes_of("\x01\x82\0\0\0\0hi", 8), pong = bytes_of("\x8a\x80\0\0\0\0", 6);
    assert_int_equal(ws_connection_input(server, now_us, begin), begin.size);
    assert_true(ws_connection_memory(server) >= 2);
    while (now_us < NOW + time_from_s(59)) {
        now_us += time_from_s(1);
        assert_int_equal(ws_connection_input(server, now_us, pong), pong.size);
        ws_connection_tick(server, now_us);
        assert_false(ws_connection_event(server, &event));
    }
    assert_int_equal(ws_connection_deadline(server), NOW + time_from_s(60));
    ws_connection_tick(server, NOW + time_from_s(60));
    assert_true(ws_connection_event(server, &event));
    assert_int_equal(event.refusal, WS_REFUSAL_MESSAGE_TOO_SLOW);
    assert_int_equal(event.code, 1008);
    ws_connection_free(server);
}

static void test_an_answering_peer_lives_and_is_measured(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    struct ws_connection *client = client_new(false);
    struct ws_event event;
    uint64_t now = NOW;
    for (int i = 0; i < 20; i++) {
        now += time_from_s(5);
        ws_connection_tick(server, now);
        assert_false(carry(server, client, &event));
        struct bytes pong = ws_connection_output(client);
        assert_int_equal(ws_connection_input(server, now + 30000, pong), pong.size);
        ws_connection_output_taken(client, pong.size);
        assert_true(ws_connection_event(server, &event));
        assert_int_equal(event.kind, WS_EVENT_PONG);
        assert_int_equal(event.rtt_us, 30000);
    }
    assert_int_equal(ws_connection_rtt_us(server), 30000);
    ws_connection_free(server);
    ws_connection_free(client);
}

static void test_an_unanswered_close_ends_by_itself(void **state)
{
    (void)state;
    struct ws_connection *server = server_new(0, false);
    ws_connection_close(server, NOW, 1000, "");
    uint64_t deadline = ws_connection_deadline(server);
    assert_int_equal(deadline, NOW + time_from_s(2));
    ws_connection_tick(server, deadline);
    struct ws_event event;
    assert_true(ws_connection_event(server, &event));
    assert_int_equal(event.code, 1006);
    ws_connection_free(server);
}

static void test_masking_is_the_same_at_every_offset(void **state)
{
    (void)state;
    static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };
    for (size_t offset = 0; offset < 9; offset++) {
        for (size_t size = 0; size < 40; size++) {
            uint8_t data[40] = { 0 };
            ws_mask_apply(mask, offset, data, size);
            for (size_t i = 0; i < 40; i++)
                assert_int_equal(data[i], i < size ? mask[(offset + i) % 4] : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_of_the_rfc_are_read),
        cmocka_unit_test(test_compressed_frames_of_the_rfc_are_read),
        cmocka_unit_test(test_context_takeover_of_a_server_is_followed),
        cmocka_unit_test(test_messages_of_all_sizes_arrive),
        cmocka_unit_test(test_random_data_that_does_not_shrink_is_sent_as_it_is),
        cmocka_unit_test(test_violations_fail_the_connection_with_their_code),
        cmocka_unit_test(test_masks_and_lengths_are_checked),
        cmocka_unit_test(test_the_limit_counts_all_fragments),
        cmocka_unit_test(test_a_decompression_bomb_stops_at_the_limit),
        cmocka_unit_test(test_bad_compressed_data_is_found),
        cmocka_unit_test(test_control_frames_come_between_fragments),
        cmocka_unit_test(test_too_many_fragments_are_refused),
        cmocka_unit_test(test_pings_without_reading_fill_a_bounded_queue),
        cmocka_unit_test(test_a_slow_peer_is_told_to_the_owner),
        cmocka_unit_test(test_the_closing_handshake_ends_both_sides),
        cmocka_unit_test(test_a_close_without_code_is_answered_in_kind),
        cmocka_unit_test(test_long_reasons_are_cut_between_characters),
        cmocka_unit_test(test_a_silent_peer_is_found_in_ten_seconds),
        cmocka_unit_test(test_time_in_which_we_stood_still_is_not_the_peers_silence),
        cmocka_unit_test(test_a_message_must_end_within_a_minute),
        cmocka_unit_test(test_an_answering_peer_lives_and_is_measured),
        cmocka_unit_test(test_an_unanswered_close_ends_by_itself),
        cmocka_unit_test(test_masking_is_the_same_at_every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
