#include "support/check.h"

#include <stdlib.h>

#include <qrencode.h>

#include "admin/banner.h"
#include "base/text.h"

static char text[64 * 1024];

static const char *write_banner(struct banner banner, const char *const *sets)
{
    struct options options;
    struct options_problems problems = { 0 };
    options_init(&options);
    for (; sets && *sets; sets++)
        options_set(&options, *sets, &problems);
    assert_int_equal(problems.count, 0);
    banner.options = &options.values;
    banner.data_dir = "./roost-data";
    struct text_builder out = text_builder_of(text, sizeof(text));
    banner_write(&banner, &out);
    assert_false(out.truncated);
    options_done(&options);
    return text;
}

static void test_each_address_is_a_place_to_open(void **state)
{
    (void)state;
    struct net_address addresses[2] = { net_address_ipv4(192, 168, 1, 5, 0) };
    assert_int_equal(net_address_parse_ip("2001:db8::5", 0, &addresses[1]), 0);
    write_banner((struct banner){ .https_port = 8443,
                                  .http_port = 8080,
                                  .self_signed = true,
                                  .first_start = true,
                                  .addresses = addresses,
                                  .address_count = 2 },
                 NULL);
    assert_non_null(strstr(text, "http://localhost:8080/\n"));
    assert_non_null(strstr(text, "https://192.168.1.5:8443/\n"));
    assert_non_null(strstr(text, "https://[2001:db8::5]:8443/\n"));
    assert_non_null(strstr(text, "self-signed"));
    assert_non_null(strstr(text, "./roost-data"));
    assert_non_null(strstr(text, "auth.mode"));
    assert_null(strchr(text, '\x1b')); // no colours and no code outside of a terminal
}

static void test_default_ports_are_left_out_and_names_come_first(void **state)
{
    (void)state;
    const char *const sets[] = { "http.names=meet.example.org", "auth.require_token=true", NULL };
    write_banner((struct banner){ .https_port = 443, .http_port = 0 }, sets);
    assert_non_null(strstr(text, "https://localhost/\n"));
    assert_non_null(strstr(text, "https://meet.example.org/\n"));
    assert_null(strstr(text, "self-signed"));
    assert_null(strstr(text, "Before others"));
}

/** Reads the blocks back: dark modules of line y as bits. */
static bool dark_at(char *const *lines, int x, int y)
{
    const char *at = lines[y / 2];
    at = strchr(at, 'm') + 1; // behind the colour
    for (int i = 0; i < x; i++)
        at += *at == ' ' ? 1 : 3;
    bool top_dark = *at == ' ' || strncmp(at, "\u2584", 3) == 0;
    bool bottom_dark = *at == ' ' || strncmp(at, "\u2580", 3) == 0;
    return y % 2 == 0 ? top_dark : bottom_dark;
}

static void test_the_qr_code_shows_every_module(void **state)
{
    (void)state;
    const char *url = "https://192.168.1.5:8443/";
    struct text_builder out = text_builder_of(text, sizeof(text));
    assert_int_equal(banner_write_qr_code(url, &out), 0);
    char *lines[64];
    int count = 0;
    for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
        lines[count++] = at;
    QRcode *code = QRcode_encodeString8bit(url, 0, QR_ECLEVEL_L);
    assert_int_equal(count, (code->width + 4 + 1) / 2);
    for (int y = 0; y < code->width; y++) {
        for (int x = 0; x < code->width; x++)
            assert_int_equal(dark_at(lines, x + 2, y + 2), code->data[y * code->width + x] & 1);
    }
    QRcode_free(code);
}

static void test_a_terminal_gets_the_code_of_the_first_address(void **state)
{
    (void)state;
    struct net_address address = net_address_ipv4(10, 0, 0, 2, 0);
    write_banner((struct banner){ .https_port = 8443,
                                  .http_port = 8080,
                                  .addresses = &address,
                                  .address_count = 1,
                                  .terminal = true },
                 NULL);
    assert_non_null(strstr(text, "With a phone"));
    assert_non_null(strstr(text, "\u2588\u2588\u2588\u2588"));
}

static void test_a_turn_server_alone_tells_its_ports_and_how_to_make_a_credential(void **state)
{
    (void)state;
    static const char *const sets[] = { "server.roles=turn", NULL };
    struct banner banner = { .turn_only = true,
                             .turn_udp_port = 3478,
                             .turn_port = 3478,
                             .turn_tls_port = 5349,
                             .turn_dtls_port = 5349,
                             .self_signed = true };
    write_banner(banner, sets);
    assert_non_null(strstr(text, "Port 3478            UDP and TCP\n"));
    assert_non_null(strstr(text, "Port 5349            UDP and TCP, encrypted (DTLS, TLS)\n"));
    assert_non_null(strstr(text, "Ports 49152 to 65535"));
    assert_non_null(strstr(text, "roost turn-credentials"));
    assert_non_null(strstr(text, "http.cert"));
    assert_null(strstr(text, "Open a browser"));
    assert_null(strstr(text, "no_auth"));

    static const char *const open[] = { "server.roles=turn", "turn.no_auth=true", NULL };
    banner = (struct banner){ .turn_only = true, .turn_udp_port = 1000, .turn_tls_port = 443 };
    write_banner(banner, open);
    assert_non_null(strstr(text, "Port 1000            UDP\n"));
    assert_non_null(strstr(text, "Port 443             TCP, encrypted (TLS)\n"));
    assert_null(strstr(text, "DTLS"));
    assert_null(strstr(text, "http.cert"));
    assert_non_null(strstr(text, "everyone who reaches this server may relay"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_address_is_a_place_to_open),
        cmocka_unit_test(test_a_turn_server_alone_tells_its_ports_and_how_to_make_a_credential),
        cmocka_unit_test(test_default_ports_are_left_out_and_names_come_first),
        cmocka_unit_test(test_the_qr_code_shows_every_module),
        cmocka_unit_test(test_a_terminal_gets_the_code_of_the_first_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
