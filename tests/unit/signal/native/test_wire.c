#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "signal/native/wire.h"

static const char *const families[] = { "session",    "room", "media",    "chat",    "keys",
                                        "moderation", "call", "contacts", "messages" };

static int read_text(const char *text, struct wire_message *message, struct wire_problem *problem)
{
    return wire_read(bytes_of_text(text), message, problem);
}

/** Refused; returns the sentence. */
static const char *refused(const char *text)
{
    static struct wire_problem problem;
    struct wire_message message;
    assert_int_equal(read_text(text, &message, &problem), -EBADMSG);
    return problem.sentence;
}

static void accepted(const char *text)
{
    struct wire_message message;
    struct wire_problem problem;
    if (read_text(text, &message, &problem) < 0)
        fail_msg("%s: %s", text, problem.sentence);
    wire_message_done(&message);
}

/** What the documentation shows is what the server takes. */
static void test_every_documented_request_is_accepted(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < array_size(families); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/src/signal/native/schema/%s.json", ROOST_SOURCE_DIR,
                 families[i]);
        json_t *family = json_load_file(path, 0, NULL);
        assert_non_null(family);
        const char *name;
        json_t *request;
        json_object_foreach(json_object_get(family, "requests"), name, request)
        {
            json_t *example = json_object_get(json_object_get(request, "example"), "request");
            char *text = json_dumps(example, JSON_COMPACT);
            accepted(text);
            free(text);
            count++;
        }
        json_decref(family);
    }
    assert_int_equal(count, WIRE_REQUEST_COUNT);
}

static void test_fields_arrive_typed(void **state)
{
    (void)state;
    struct wire_message message;
    struct wire_problem problem;
    assert_int_equal(
        read_text("{\"type\":\"offer\",\"id\":9007199254740991,\"sdp\":\"v=0\\r\\n\",\"tracks\":["
                  "{\"mid\":\"0\",\"source\":\"screen\",\"muted\":true},{\"mid\":\"1\"}],"
                  "\"something\":{\"new\":[1]}}",
                  &message, &problem),
        0);
    assert_int_equal(message.type, WIRE_REQUEST_OFFER);
    assert_int_equal(message.id, 9007199254740991);
    const struct wire_request_offer *offer = &message.request.offer;
    assert_string_equal(offer->sdp, "v=0\r\n");
    assert_false(offer->fresh);
    assert_int_equal(offer->tracks_count, 2);
    assert_int_equal(offer->tracks[0].source, WIRE_SOURCE_SCREEN);
    assert_true(offer->tracks[0].muted);
    assert_null(offer->tracks[0].name);
    assert_int_equal(offer->tracks[1].source, WIRE_SOURCE_OTHER);
    wire_message_done(&message);
}

static void test_absent_and_null_fields_have_their_defaults(void **state)
{
    (void)state;
    struct wire_message message;
    struct wire_problem problem;
    assert_int_equal(read_text("{\"type\":\"join\",\"id\":1,\"room\":\"r\",\"name\":\"n\","
                               "\"token\":null}",
                               &message, &problem),
                     0);
    assert_true(message.request.join.auto_subscribe);
    assert_null(message.request.join.token);
    wire_message_done(&message);
    assert_int_equal(read_text("{\"type\":\"ping\"}", &message, &problem), 0);
    assert_int_equal(message.id, 0);
    assert_false(message.request.ping.has_last_seq);
    wire_message_done(&message);
}

static void test_refusals_say_which_field_is_wrong(void **state)
{
    (void)state;
#define JOIN(rest) "{\"type\":\"join\",\"id\":1," rest "}"
    assert_string_equal(refused(JOIN("\"name\":\"n\"")), "\"room\" is missing.");
    assert_string_equal(refused(JOIN("\"room\":7,\"name\":\"n\"")), "\"room\" must be a text.");
    assert_string_equal(refused(JOIN("\"room\":null,\"name\":\"n\"")), "\"room\" must be a text.");
    assert_string_equal(refused(JOIN("\"room\":\"\",\"name\":\"n\"")),
                        "\"room\" must have 1 to 64 bytes; it has 0.");
    assert_string_equal(refused(JOIN("\"room\":\"a/b\",\"name\":\"n\"")),
                        "\"room\" may only have letters, digits and - . _ ~ @ +.");
    assert_string_equal(refused(JOIN("\"room\":\"a b\",\"name\":\"n\"")),
                        "\"room\" may only have letters, digits and - . _ ~ @ +.");
    assert_string_equal(refused(JOIN("\"room\":\"a\",\"name\":\"a\\u0007\"")),
                        "\"name\" must be one line without control characters.");
    assert_string_equal(refused(JOIN("\"room\":\"a\",\"name\":\"n\",\"auto_subscribe\":1")),
                        "\"auto_subscribe\" must be true or false.");
    accepted(JOIN("\"room\":\"k\\u00fcche-\\u96c6\",\"name\":\"\\ud83d\\ude00\""));
    assert_string_equal(refused("{\"type\":\"call\",\"id\":1,\"to\":\"a\",\"sdp\":\"v=0\","
                                "\"media\":\"smell\"}"),
                        "\"media\" must be one of \"audio\", \"video\".");
    assert_string_equal(refused("{\"type\":\"subscribe\",\"id\":1,\"tracks\":[]}"),
                        "\"tracks\" must have 1 to 64 items; it has 0.");
    assert_string_equal(refused("{\"type\":\"subscribe\",\"id\":1,\"tracks\":[1]}"),
                        "\"tracks\" must be a text.");
    assert_string_equal(refused("{\"type\":\"offer\",\"id\":1,\"sdp\":\"v=0\",\"tracks\":[1]}"),
                        "The items of \"tracks\" must be objects.");
    assert_string_equal(refused("{\"type\":\"hello\",\"id\":1,\"version\":70000}"),
                        "\"version\" must be a whole number from 1 to 65535.");
    assert_string_equal(refused("{\"type\":\"candidate\",\"id\":1,\"candidate\":\"x\"}"),
                        "\"candidate\" must be an object.");
}

static void test_zero_bytes_and_broken_unicode_are_refused(void **state)
{
    (void)state;
    refused("{\"type\":\"chat\",\"id\":1,\"text\":\"a\\u0000b\"}");
    refused("{\"type\":\"chat\",\"id\":1,\"text\":\"\\ud800\"}");
    refused("{\"type\":\"chat\",\"id\":1,\"text\":\"\xff\"}");
}

static void test_deep_and_wide_messages_are_refused_before_they_are_built(void **state)
{
    (void)state;
    char text[40000] = "{\"type\":\"chat\",\"id\":1,\"text\":\"a\",\"x\":[";
    size_t at = strlen(text);
    for (int i = 0; i < 9000; i++) {
        text[at++] = '1';
        text[at++] = ',';
    }
    strcpy(text + at, "1]}");
    refused(text);
    // brackets within texts are only text
    accepted("{\"type\":\"chat\",\"id\":1,\"text\":\"[[[[[[[[[[[[[[\\\"[[[[[\"}");
}

static void test_written_texts_read_back(void **state)
{
    (void)state;
    char all[128] = "";
    for (int i = 1; i < 127; i++)
        all[i - 1] = (char)i;
    struct json_text out;
    json_text_init(&out);
    wire_write_event_chat(&out,
                          &(struct wire_event_chat){
                              .from = "m", .name = all, .text = "\xe2\x80\xa8", .time_ms = 5 });
    json_t *json = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "name")), all);
    assert_string_equal(json_string_value(json_object_get(json, "text")), "\xe2\x80\xa8");
    assert_null(json_object_get(json, "to"));
    assert_int_equal(json_integer_value(json_object_get(json, "time_ms")), 5);
    json_decref(json);
    json_text_clear(&out);
    struct wire_slot_change changes[] = { { .mid = "1" }, { .mid = "2", .track = "t" } };
    wire_write_event_slots(&out,
                           &(struct wire_event_slots){ .changes = changes, .changes_count = 2 });
    assert_int_equal(
        bytes_equal(json_text_bytes(&out),
                    bytes_of_text("{\"type\":\"slots\",\"changes\":[{\"mid\":\"1\",\"track\":null,"
                                  "\"member\":null},{\"mid\":\"2\",\"track\":\"t\","
                                  "\"member\":null}]}")),
        true);
    json_text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_documented_request_is_accepted),
        cmocka_unit_test(test_fields_arrive_typed),
        cmocka_unit_test(test_absent_and_null_fields_have_their_defaults),
        cmocka_unit_test(test_refusals_say_which_field_is_wrong),
        cmocka_unit_test(test_zero_bytes_and_broken_unicode_are_refused),
        cmocka_unit_test(test_deep_and_wide_messages_are_refused_before_they_are_built),
        cmocka_unit_test(test_written_texts_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
