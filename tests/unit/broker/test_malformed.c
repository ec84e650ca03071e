// Packets that may not be: each ends the connection, 5.0 hears why. Tests are named after the
// statements of MQTT 5.0; 3.1.1 has the same sentence unless a row has no packet for it.
#include "broker_stage.h"

#define NO_WORDS (-1)

struct row {
    const char *name;
    const char *hex4; /**< of 3.1.1; NULL: it cannot say that */
    const char *hex5;
    enum mqtt_reason reason;
};

/** Behind CONNECT. */
static const struct row rows[] = {
    { "mqtt_1_5_4_1_surrogates", "30050003eda080", "30060003eda08000", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_4_1_overlong", "30040002c0af", "30050002c0af00", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_4_2_null_in_a_topic", "30050003610062", "3006000361006200", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_5_1_longer_than_needed", "c08000", "c08000", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_5_1_five_bytes", "30ffffffff01", "30ffffffff01", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_5_1_properties", NULL, "30050001618000", MQTT_MALFORMED_PACKET },
    { "mqtt_1_5_7_1_pairs_are_text", NULL, "300c00016108260002c080000161", MQTT_MALFORMED_PACKET },
    { "mqtt_2_1_3_1_pingreq", "c100", "c100", MQTT_MALFORMED_PACKET },
    { "mqtt_2_1_3_1_puback", "41020001", "41020001", MQTT_MALFORMED_PACKET },
    { "mqtt_2_1_3_1_pubrec", "51020001", "51020001", MQTT_MALFORMED_PACKET },
    { "mqtt_2_1_3_1_pubcomp", "71020001", "71020001", MQTT_MALFORMED_PACKET },
    { "mqtt_2_2_1_3_publish", "32050001610000", "3206000161000000", MQTT_PROTOCOL_ERROR },
    { "mqtt_2_2_1_3_subscribe", "8206000000016100", "820700000000016100", MQTT_PROTOCOL_ERROR },
    { "mqtt_2_2_1_3_unsubscribe", "a2050000000161", "a206000000000161", MQTT_PROTOCOL_ERROR },
    { "mqtt_2_2_2_2_foreign_property", NULL, "30090001610511000000ff", MQTT_PROTOCOL_ERROR },
    { "mqtt_2_2_2_2_unknown_property", NULL,
      "300600016102"
      "7f00",
      MQTT_MALFORMED_PACKET },
    { "mqtt_2_2_2_2_twice", NULL, "300c000161080300016103000161", MQTT_PROTOCOL_ERROR },
    { "mqtt_2_2_2_2_out_of_range", NULL,
      "30060001610201"
      "02",
      MQTT_PROTOCOL_ERROR },
    { "mqtt_3_1_0_2_second_connect",
      "100d00044d515454040200000001"
      "62",
      "100e00044d5154540502000000000162", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_3_1_2_dup_of_qos_0", "3803000161", "380400016100", MQTT_MALFORMED_PACKET },
    { "mqtt_3_3_1_4_qos_3", "36050001610001", "3606000161000100", MQTT_MALFORMED_PACKET },
    { "mqtt_3_3_2_1_no_topic", "300100", "300100", MQTT_MALFORMED_PACKET },
    { "mqtt_3_3_2_2_plus", "300300012b", "300400012b00", MQTT_TOPIC_NAME_INVALID },
    { "mqtt_3_3_2_2_hash",
      "3005000361"
      "2f23",
      "3006000361"
      "2f2300",
      MQTT_TOPIC_NAME_INVALID },
    { "mqtt_3_3_2_8_alias_0", NULL, "300700016103230000", MQTT_TOPIC_ALIAS_INVALID },
    { "mqtt_3_3_2_9_alias_too_large", NULL, "300700016103230011", MQTT_TOPIC_ALIAS_INVALID },
    { "mqtt_3_3_2_7_alias_of_nothing", NULL, "3006000003230001", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_3_2_13_response_topic", NULL, "300900016105080002c080", MQTT_MALFORMED_PACKET },
    { "mqtt_3_3_2_14_response_wildcard", NULL, "30080001610408000123", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_3_2_19_content_type", NULL, "300900016105030002c080", MQTT_MALFORMED_PACKET },
    { "mqtt_3_3_4_6_subscription_id", NULL, "3006000161020b01", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_6_1_1_pubrel_flags", "60020001", "60020001", MQTT_MALFORMED_PACKET },
    { "mqtt_3_8_1_1_subscribe_flags", "8006000100016100", "800700010000016100",
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_8_3_1_filter_is_text", "820700010002c08000", "82080001000002c08000",
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_8_3_2_no_filter", "82020001", "8203000100", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_8_3_4_no_local_shared", NULL,
      "821000010000"
      "0a2473686172652f672f6104",
      MQTT_PROTOCOL_ERROR },
    { "mqtt_3_8_3_5_reserved_bits", "8206000100016104", "820700010000016140",
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_8_3_5_qos_3", "8206000100016103", "820700010000016103", MQTT_MALFORMED_PACKET },
    { "mqtt_3_8_3_1_retain_handling_3", NULL, "820700010000016130", MQTT_PROTOCOL_ERROR },
    { "subscription_id_0", NULL, "82090001020b0000016100", MQTT_PROTOCOL_ERROR },
    { "mqtt_3_10_1_1_unsubscribe_flags", "a0050001000161", "a006000100000161",
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_10_3_1_filter_is_text", "a20600010002c080", "a2070001000002c080",
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_10_3_2_no_filter", "a2020001", "a203000100", MQTT_PROTOCOL_ERROR },
    { "pingreq_with_a_body", "c00100", "c00100", MQTT_MALFORMED_PACKET },
    { "mqtt_3_14_1_1_disconnect_flags", "e100", "e100", MQTT_MALFORMED_PACKET },
    { "mqtt_3_15_1_1_auth_flags", "f100", "f100", MQTT_MALFORMED_PACKET },
    { "mqtt_4_7_3_1_empty_topic", "30020000", "3003000000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_12_0_7_auth_without_a_method", "f000", "f000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_13_1_1_connack_of_a_client", "20020000", "2003000000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_13_1_1_suback_of_a_client", "9003000100", "900400010000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_13_1_1_unsuback_of_a_client", "b0020001", "b00400010000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_13_1_1_pingresp_of_a_client", "d000", "d000", MQTT_PROTOCOL_ERROR },
    { "mqtt_4_13_1_1_type_0", "0000", "0000", MQTT_MALFORMED_PACKET },
};

static void test_is_ended(void **state)
{
    const struct row *row = *state;
    each_version(version)
    {
        const char *hex = version == MQTT_5 ? row->hex5 : row->hex4;
        if (!hex)
            continue;
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "#", 0);
        device_send_hex(&stage.ann, hex);
        device_expect_ended(&stage.ann, row->reason);
        // nobody else hears of it
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

/** Instead of a good CONNECT. The answer of 3.1.1 is a return code, or the end alone. */
struct greeting {
    const char *name;
    const char *hex4;
    const char *hex5;
    int code4;
    int reason5;
};

#define NAME "00044d515454"

static const struct greeting greetings[] = {
    { "mqtt_3_1_0_1_ping_first", "c000", NULL, NO_WORDS, 0 },
    { "mqtt_3_1_0_1_publish_first", "3003000161", NULL, NO_WORDS, 0 },
    { "mqtt_3_1_2_1_other_name",
      "100d00044d5154580402000000"
      "0161",
      NULL, NO_WORDS, 0 },
    // the version of a stranger's CONNECT is answered in the nearest one
    { "mqtt_3_1_2_2_version_3", "100d" NAME "03020000000161", NULL, MQTT_REFUSED_VERSION, 0 },
    { "mqtt_3_1_2_2_version_6", NULL, "100e" NAME "0602000000000161", 0, MQTT_UNSUPPORTED_VERSION },
    { "mqtt_3_1_2_3_reserved_flag", "100d" NAME "04030000000161", "100e" NAME "0503000000000161",
      NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_9_will_is_absent", "100d" NAME "04060000000161", "100e" NAME "0506000000000161",
      NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_11_will_qos_without_a_will", "100d" NAME "040a0000000161",
      "100e" NAME "050a000000000161", NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_12_will_qos_3",
      "1013" NAME "041e00000001610001620001"
      "63",
      "1015" NAME "051e0000000001610000016200"
      "0163",
      NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_13_will_retain_without_a_will", "100d" NAME "04220000000161",
      "100e" NAME "0522000000000161", NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_16_user_without_its_flag", "1010" NAME "04020000000161000162",
      "1011" NAME "0502000000000161000162", NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_17_user_is_absent", "100d" NAME "04820000000161", "100e" NAME "0582000000000161",
      NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_18_password_without_its_flag", "1013" NAME "04820000000161000162000163",
      "1014" NAME "0582000000000161000162000163", NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_2_19_password_is_absent", "1010" NAME "04c20000000161000162",
      "1011" NAME "05c2000000000161000162", NO_WORDS, MQTT_MALFORMED_PACKET },
    // 3.1.1 alone, [MQTT-3.1.2-22]
    { "mqtt_3_1_2_19_password_without_a_user", "1010" NAME "04420000000161000162", NULL, NO_WORDS,
      0 },
    { "mqtt_3_1_3_1_fields_are_missing", "1008" NAME "0402", "1008" NAME "0502", NO_WORDS,
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_3_3_no_client_id", "100a" NAME "04020000", "100b" NAME "0502000000", NO_WORDS,
      MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_3_4_client_id_is_text", "100e" NAME "040200000002c080",
      "100f" NAME "05020000000002c080", NO_WORDS, MQTT_MALFORMED_PACKET },
    // 3.1.1 alone
    { "mqtt_3_1_3_8_no_name_and_a_session", "100c" NAME "040000000000", NULL,
      MQTT_REFUSED_CLIENT_ID, 0 },
    { "mqtt_3_1_3_11_will_topic_is_text", "1014" NAME "040600000001610002c080000163",
      "1016" NAME "05060000000001610000"
      "02c080000163",
      NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_3_11_will_topic_has_a_wildcard", "1013" NAME "0406000000016100012b000163",
      "1015" NAME "0506000000000161000001"
      "2b000163",
      NO_WORDS, MQTT_TOPIC_NAME_INVALID },
    { "mqtt_3_1_3_12_user_is_text", "1011" NAME "048200000001610002c080",
      "1012" NAME "05820000000001610002c080", NO_WORDS, MQTT_MALFORMED_PACKET },
    { "mqtt_3_1_4_1_flags_of_connect", "110d" NAME "04020000000161", NULL, NO_WORDS, 0 },
    { "mqtt_4_12_0_1_method_is_not_known", NULL, "1012" NAME "05020000041500016d000161", 0,
      MQTT_BAD_AUTHENTICATION_METHOD },
    { "mqtt_3_1_2_11_data_without_a_method", NULL, "1012" NAME "05020000041600016d000161", 0,
      MQTT_PROTOCOL_ERROR },
};

static void test_is_refused(void **state)
{
    const struct greeting *greeting = *state;
    each_version(version)
    {
        const char *hex = version == MQTT_5 ? greeting->hex5 : greeting->hex4;
        int words = version == MQTT_5 ? greeting->reason5 : greeting->code4;
        if (!hex)
            continue;
        struct stage stage;
        stage_empty(&stage, version);
        device_open(&stage.world, &stage.ann, version);
        device_send_hex(&stage.ann, hex);
        if (words != NO_WORDS) {
            // 3.2.2-6, 3.2.2-7: no session, and then the end
            struct mqtt_connack connack = device_expect(&stage.ann, MQTT_CONNACK).connack;
            assert_int_equal(connack.reason, words);
            assert_false(connack.session_present);
        }
        device_expect_closed(&stage.ann);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        stage_done(&stage);
    }
}

int main(void)
{
    struct CMUnitTest tests[array_size(rows) + array_size(greetings)];
    size_t count = 0;
    for (size_t i = 0; i < array_size(rows); i++)
        tests[count++] = ROW_TEST(rows[i].name, test_is_ended, &rows[i]);
    for (size_t i = 0; i < array_size(greetings); i++)
        tests[count++] = ROW_TEST(greetings[i].name, test_is_refused, &greetings[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
