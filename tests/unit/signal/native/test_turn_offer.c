// Credentials and URLs of our own TURN server, as engines hand them to clients.
#include "signal_harness.h"

#include "crypto/hmac.h"
#include "signal/access/token.h"
#include "signal/access/turn_offer.h"

#define NOW_UNIX_S 1700001000ull // of the harness: its offset and its start

static const struct turn_offer offer = {
    .host = "meet.example.org",
    .udp_port = 3478,
    .tcp_port = 3478,
    .tls_port = 5349,
    .https_port = 443,
    .secret = { (const uint8_t *)"north", 5 },
    .lifetime_s = 3600,
};

static struct turn_ticket issue(const struct turn_offer *of, const char *reached, const char *user)
{
    struct turn_ticket ticket;
    assert_int_equal(turn_ticket_issue(of, reached, bytes_of_text(user), 1000, &ticket), 0);
    return ticket; // its pointers are not good any more, its texts are
}

static void test_a_ticket_is_what_the_rest_scheme_says(void **state)
{
    (void)state;
    struct turn_ticket ticket = issue(&offer, "", "ann");
    assert_string_equal(ticket.username, "4600:ann");
    uint8_t code[HMAC_SHA1_SIZE];
    hmac_sha1(bytes_of_text("north"), bytes_of_text("4600:ann"), code);
    char password[TEXT_BASE64_SIZE(sizeof(code))];
    text_base64_write(bytes_of(code, sizeof(code)), password);
    assert_string_equal(ticket.password, password);
    assert_int_equal(ticket.expires_unix_s, 4600);
    ticket = issue(&offer, "", "");
    assert_string_equal(ticket.username, "4600");
}

static void test_every_open_way_is_told_the_cheapest_first(void **state)
{
    (void)state;
    struct turn_ticket ticket;
    assert_int_equal(turn_ticket_issue(&offer, "other", bytes_of_text("a"), 1, &ticket), 0);
    assert_int_equal(ticket.url_count, 4);
    assert_string_equal(ticket.urls[0], "turn:meet.example.org:3478?transport=udp");
    assert_string_equal(ticket.urls[1], "turn:meet.example.org:3478?transport=tcp");
    assert_string_equal(ticket.urls[2], "turns:meet.example.org:5349?transport=tcp");
    assert_string_equal(ticket.urls[3], "turns:meet.example.org:443?transport=tcp");
    assert_string_equal(ticket.stun_url, "stun:meet.example.org:3478");
}

static void test_closed_ways_and_repetitions_are_left_out(void **state)
{
    (void)state;
    struct turn_offer some = offer;
    some.udp_port = 0;
    some.tls_port = 443;
    struct turn_ticket ticket;
    assert_int_equal(turn_ticket_issue(&some, "", bytes_of_text("a"), 1, &ticket), 0);
    assert_int_equal(ticket.url_count, 2);
    assert_string_equal(ticket.urls[0], "turn:meet.example.org:3478?transport=tcp");
    assert_string_equal(ticket.urls[1], "turns:meet.example.org:443?transport=tcp");
    assert_null(ticket.stun_url);
}

static void test_without_a_host_the_one_that_was_reached_is_told(void **state)
{
    (void)state;
    struct turn_offer open = offer;
    open.host = "";
    struct turn_ticket ticket;
    assert_int_equal(turn_ticket_issue(&open, "[2001:db8::7]", bytes_of_text("a"), 1, &ticket), 0);
    assert_string_equal(ticket.urls[0], "turn:[2001:db8::7]:3478?transport=udp");
    static const char *const bad[] = { "", "a b", "a\"b", "[::1", "::1", "[x]", "a/b", "a?b" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(turn_ticket_issue(&open, bad[i], bytes_of_text("a"), 1, &ticket), -EINVAL);
    assert_int_equal(turn_ticket_issue(&offer, "", bytes_of_text("a\nb"), 1, &ticket), -EINVAL);
}

static void test_addresses_become_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *ip, *host;
    } cases[] = { { "192.0.2.1", "192.0.2.1" },
                  { "2001:db8::1", "[2001:db8::1]" },
                  { "::ffff:192.0.2.9", "192.0.2.9" } };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct net_address address = address_of(cases[i].ip);
        char host[TURN_HOST_SIZE];
        turn_address_host(&address, host);
        assert_string_equal(host, cases[i].host);
    }
}

/** ---- through the protocol ---- */

static const char *text_of(json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/** The entry with credentials; NULL when there is none. */
static json_t *turn_entry(json_t *result)
{
    json_t *servers = json_object_get(result, "ice_servers");
    assert_true(json_is_array(servers));
    size_t index;
    json_t *server;
    json_array_foreach(servers, index, server)
    {
        if (json_object_get(server, "username"))
            return server;
    }
    return NULL;
}

static void check_credential(json_t *entry, const char *session)
{
    char username[128], password[TURN_REST_PASSWORD_SIZE];
    snprintf(username, sizeof(username), "%llu:%s", NOW_UNIX_S + 3600, session);
    assert_string_equal(text_of(entry, "username"), username);
    turn_rest_password(bytes_of_text("north"), bytes_of_text(username), password);
    assert_string_equal(text_of(entry, "credential"), password);
}

static void test_hello_and_join_hold_credentials_of_the_session(void **state)
{
    (void)state;
    world_start(&(struct native_config){ .turn = &offer });
    struct client ada = { 0 };
    client_connect(&ada);
    json_t *result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    char session[64];
    snprintf(session, sizeof(session), "%s", text_of(result, "session"));
    check_credential(turn_entry(result), session);
    check_credential(turn_entry(client_must(&ada, join_request("room", "Ada"))), session);
    client_done(&ada);
    world_stop();
}

static const char *first_url_of_hello(const struct turn_offer *of, char *out, size_t capacity)
{
    world_start(&(struct native_config){ .turn = of });
    struct client ada = { 0 };
    client_connect(&ada);
    json_t *result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    json_t *first = json_array_get(json_object_get(result, "ice_servers"), 0);
    snprintf(out, capacity, "%s",
             json_string_value(json_array_get(json_object_get(first, "urls"), 0)));
    client_done(&ada);
    world_stop();
    return out;
}

static void test_no_client_gets_five_urls_since_browsers_warn_of_them(void **state)
{
    (void)state;
    char url[128];
    assert_string_equal(first_url_of_hello(&offer, url, sizeof(url)),
                        "turn:meet.example.org:3478?transport=udp");
    struct turn_offer three = offer;
    three.https_port = 0;
    assert_string_equal(first_url_of_hello(&three, url, sizeof(url)), "stun:meet.example.org:3478");
}

static void test_fresh_credentials_are_had_for_the_asking(void **state)
{
    (void)state;
    world_start(&(struct native_config){ .turn = &offer });
    struct client ada;
    client_hello(&ada);
    world_pass(500 * S);
    json_t *result = client_must(&ada, json_pack("{s:s}", "type", "ice_servers"));
    unsigned long long expiry = strtoull(text_of(turn_entry(result), "username"), NULL, 10);
    assert_int_equal(expiry, NOW_UNIX_S + 500 + 3600);
    client_done(&ada);
    world_stop();
}

static void test_the_host_the_client_used_is_the_host_it_gets(void **state)
{
    (void)state;
    struct turn_offer open = offer;
    open.host = "";
    world_start(&(struct native_config){ .turn = &open });
    struct client ada = { 0 };
    client_connect(&ada);
    signal_native_set_host(ada.connection, "198.51.100.4");
    json_t *result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    json_t *urls = json_object_get(turn_entry(result), "urls");
    assert_string_equal(json_string_value(json_array_get(urls, 1)),
                        "turn:198.51.100.4:3478?transport=tcp");
    client_done(&ada);
    // a server that does not know its own name tells nothing, and goes on
    client_connect(&ada);
    result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    assert_null(turn_entry(result));
    client_done(&ada);
    world_stop();
}

static void test_where_tokens_are_needed_relays_need_one_too(void **state)
{
    (void)state;
    static const char key[] = "0123456789abcdef0123456789abcdef";
    world_start(&(struct native_config){
        .turn = &offer, .require_token = true, .token_key = bytes_of_text(key) });
    struct client ada = { 0 };
    client_connect(&ada);
    json_t *result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    assert_int_equal(json_array_size(json_object_get(result, "ice_servers")), 0);
    assert_int_equal(
        json_array_size(json_object_get(
            client_must(&ada, json_pack("{s:s}", "type", "ice_servers")), "ice_servers")),
        0);
    struct token_grants grants = { .user = "ada" };
    char *token = token_mint(&grants, bytes_of_text(key), 1700000000);
    result = client_must(
        &ada, json_pack("{s:s,s:s,s:s}", "type", "register", "user", "ada", "token", token));
    assert_non_null(turn_entry(result));
    assert_non_null(turn_entry(client_must(&ada, json_pack("{s:s}", "type", "ice_servers"))));
    free(token);
    client_done(&ada);
    world_stop();
}

static void test_servers_of_the_configuration_stand_beside_our_own(void **state)
{
    (void)state;
    static const char *const urls[] = { "stun:stun.example.net" };
    const struct native_ice_server server = { .urls = urls, .url_count = 1 };
    for (int own = 0; own < 2; own++) {
        world_start(&(struct native_config){
            .turn = own ? &offer : NULL, .ice_servers = &server, .ice_server_count = 1 });
        struct client ada = { 0 };
        client_connect(&ada);
        json_t *result = client_must(&ada, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
        json_t *servers = json_object_get(result, "ice_servers");
        assert_int_equal(json_array_size(servers), own ? 2 : 1);
        json_t *last = json_array_get(servers, json_array_size(servers) - 1);
        assert_string_equal(json_string_value(json_array_get(json_object_get(last, "urls"), 0)),
                            urls[0]);
        assert_int_equal(turn_entry(result) != NULL, own);
        client_done(&ada);
        world_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ticket_is_what_the_rest_scheme_says),
        cmocka_unit_test(test_every_open_way_is_told_the_cheapest_first),
        cmocka_unit_test(test_closed_ways_and_repetitions_are_left_out),
        cmocka_unit_test(test_without_a_host_the_one_that_was_reached_is_told),
        cmocka_unit_test(test_addresses_become_hosts),
        cmocka_unit_test(test_hello_and_join_hold_credentials_of_the_session),
        cmocka_unit_test(test_no_client_gets_five_urls_since_browsers_warn_of_them),
        cmocka_unit_test(test_fresh_credentials_are_had_for_the_asking),
        cmocka_unit_test(test_the_host_the_client_used_is_the_host_it_gets),
        cmocka_unit_test(test_where_tokens_are_needed_relays_need_one_too),
        cmocka_unit_test(test_servers_of_the_configuration_stand_beside_our_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
