// The file of bridges: what its lines mean, and what is refused, with the line.
#include "support/check.h"
#include "support/freed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "signal/mqtt/mqtt_bridge_file.h"

static char problem_text[512];

static int parse(const char *text, struct mqtt_bridge_specs *specs)
{
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    return mqtt_bridge_specs_parse(bytes_of_text(text), specs, &problem);
}

static void expect_refused(const char *text, const char *sentence)
{
    struct mqtt_bridge_specs specs;
    assert_int_equal(parse(text, &specs), -EINVAL);
    if (!strstr(problem_text, sentence))
        fail_msg("\"%s\" where \"%s\" was expected", problem_text, sentence);
}

static void test_a_whole_bridge(void **state)
{
    (void)state;
    struct mqtt_bridge_specs specs;
    assert_int_equal(
        parse("# of the house\n"
              "connection cloud\n"
              "address broker.example:8884 [2001:db8::1]:99 2001:db8::2 other.example\n"
              "bridge_cafile /etc/ca.pem\r\n"
              "remote_username ann\n"
              "remote_password with  spaces # and this\n"
              "remote_clientid site1\n"
              "topic sensors/# out 1\n"
              "\ttopic # in 2 cloud/ \"\"\n"
              "topic \"\" both 0 here/lamp there/lamp\n"
              "keepalive_interval 30\n"
              "restart_timeout 2 90\n"
              "notifications false\n"
              "try_private false\n"
              "cleansession true\n"
              "bridge_outgoing_retain false\n"
              "bridge_protocol_version mqttv311\n"
              "max_queued_messages 5\n"
              "\n"
              "connection second\n"
              "address localhost\n"
              "topic a\n",
              &specs),
        0);
    assert_int_equal(specs.count, 2);
    const struct mqtt_bridge_spec *cloud = &specs.items[0];
    assert_string_equal(cloud->name, "cloud");
    assert_int_equal(cloud->address_count, 4);
    assert_string_equal(cloud->addresses[0].host, "broker.example");
    assert_int_equal(cloud->addresses[0].port, 8884);
    assert_string_equal(cloud->addresses[1].host, "2001:db8::1");
    assert_int_equal(cloud->addresses[1].port, 99);
    assert_string_equal(cloud->addresses[2].host, "2001:db8::2");
    assert_int_equal(cloud->addresses[2].port, 0);
    assert_string_equal(cloud->addresses[3].host, "other.example");
    assert_string_equal(cloud->ca_file, "/etc/ca.pem");
    assert_string_equal(cloud->password, "with  spaces # and this");
    assert_string_equal(cloud->client_id, "site1");
    assert_int_equal(cloud->topics.count, 3);
    assert_string_equal(cloud->topics.rules[1].local_filter, "cloud/#");
    assert_string_equal(cloud->topics.rules[1].remote_filter, "#");
    assert_int_equal(cloud->topics.rules[1].qos, 2);
    assert_string_equal(cloud->topics.rules[2].remote_filter, "there/lamp");
    assert_int_equal(cloud->keep_alive_s, 30);
    assert_int_equal(cloud->restart_min_s, 2);
    assert_int_equal(cloud->restart_max_s, 90);
    assert_true(cloud->no_notifications && cloud->no_bridge_bit && cloud->clean &&
                cloud->drop_retain);
    assert_int_equal(cloud->protocol, BRIDGE_PROTOCOL_3_1_1);
    assert_int_equal(cloud->queue_count_max, 5);
    assert_true(mqtt_bridge_spec_has_tls(cloud));
    const struct mqtt_bridge_spec *second = &specs.items[1];
    assert_int_equal(second->topics.rules[0].direction, BRIDGE_OUT);
    assert_int_equal(second->topics.rules[0].qos, 0);
    assert_false(mqtt_bridge_spec_has_tls(second));
    mqtt_bridge_specs_done(&specs);
}

#define BRIDGE "connection x\naddress localhost\ntopic a\n"

static void test_mistakes_are_named(void **state)
{
    (void)state;
    expect_refused("address x\n", "line 1: a bridge begins with connection NAME");
    expect_refused("connection\n", "line 1: behind connection");
    expect_refused("connection a b\n", "line 1: a name has");
    expect_refused(BRIDGE BRIDGE, "line 4: there is another");
    expect_refused("connection x\ntopic a\n", "connection x: it has no address");
    expect_refused("connection x\naddress y\n", "connection x: it has no topic");
    expect_refused(BRIDGE "colour red\n", "line 4: it begins with a word that is not known");
    expect_refused(BRIDGE "topic a sideways\n", "line 4: behind the pattern");
    expect_refused(BRIDGE "topic a out 3\n", "line 4: behind the direction");
    expect_refused(BRIDGE "topic a out 1 b c d\n", "line 4: there is more");
    expect_refused(BRIDGE "topic a/#/b out\n", "line 4: prefix and pattern");
    expect_refused(BRIDGE "address host:0\n", "line 4: a port");
    expect_refused(BRIDGE "address [::1\n", "line 4: an address is");
    expect_refused(BRIDGE "address \"\"\n", "line 4: an address is");
    expect_refused(BRIDGE "address \"", "line 4: a quote has no end");
    expect_refused(BRIDGE "address good.example \"bad.example\n", "line 4: a quote has no end");
    expect_refused(BRIDGE "topic \"a b out 1\ntopic \"c\" out\n", "line 4: a quote has no end");
    expect_refused(BRIDGE "topic a out 1 \"\" \"\"\"\n", "line 4: a quote has no end");
    expect_refused(BRIDGE "restart_timeout \"1\n", "line 4: a quote has no end");
    expect_refused(BRIDGE "cleansession perhaps\n", "line 4: it is true or false");
    expect_refused(BRIDGE "keepalive_interval 70000\n", "line 4: the number is out of range");
    expect_refused(BRIDGE "keepalive_interval\n", "line 4: it has no value");
    expect_refused(BRIDGE "restart_timeout 30 1\n", "line 4: the longest pause");
    expect_refused(BRIDGE "bridge_protocol_version mqttv31\n", "line 4: it is auto");
    expect_refused(BRIDGE "bridge_insecure true\n", "line 4: names are always checked");
    expect_refused(BRIDGE "start_type lazy\n", "line 4: nothing else");
    expect_refused(BRIDGE "bridge_certfile c\n", "go together");
    expect_refused(BRIDGE "remote_password p\n", "needs a remote_username");
    expect_refused(BRIDGE "notification_topic a/#\n", "is no topic");
    expect_refused(BRIDGE "remote_clientid \xff\n", "line 4: it is no text");
}

#define FAR "connection x\naddress far.example\ntopic a\nremote_username u\nremote_password p\n"

static void test_a_password_does_not_cross_the_network_as_it_is(void **state)
{
    (void)state;
    struct mqtt_bridge_specs specs;
    expect_refused(FAR, "its password would cross the network as it is");
    static const char *const good[] = {
        FAR "bridge_tls_use_os_certs true\n",
        FAR "bridge_plain_password true\n",
        ("connection x\naddress localhost 127.0.0.1:1 [::1]:2\ntopic a\nremote_username u\n"
         "remote_password p\n"),
    };
    for (size_t i = 0; i < array_size(good); i++) {
        assert_int_equal(parse(good[i], &specs), 0);
        mqtt_bridge_specs_done(&specs);
    }
}

static int load(const char *text, struct mqtt_bridge_specs *specs)
{
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    assert_int_equal(parse(text, specs), 0);
    return mqtt_bridge_specs_load(specs, &problem);
}

static void test_passwords_come_from_files_and_the_environment(void **state)
{
    (void)state;
    char path[] = "/tmp/roost-bridge-password-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "of a file\n", 10) == 10 && close(fd) == 0);
    char text[256];
    struct mqtt_bridge_specs specs;
    snprintf(text, sizeof(text), BRIDGE "remote_username u\nremote_password_file %s\n", path);
    assert_int_equal(load(text, &specs), 0);
    assert_string_equal(specs.items[0].password, "of a file");
    mqtt_bridge_specs_done(&specs);
    unlink(path);
    assert_int_equal(load(text, &specs), -ENOENT);
    assert_non_null(strstr(problem_text, "connection x: remote_password_file /tmp/"));
    mqtt_bridge_specs_done(&specs);

    const char *by_variable = BRIDGE "remote_username u\nremote_password_env BRIDGE_SECRET\n";
    unsetenv("BRIDGE_SECRET");
    assert_int_equal(load(by_variable, &specs), -ENOENT);
    mqtt_bridge_specs_done(&specs);
    setenv("BRIDGE_SECRET", "of the environment", 1);
    assert_int_equal(load(by_variable, &specs), 0);
    assert_string_equal(specs.items[0].password, "of the environment");
    mqtt_bridge_specs_done(&specs);
    assert_int_equal(load(BRIDGE "bridge_cafile /nowhere.pem\n", &specs), -ENOENT);
    assert_non_null(strstr(problem_text, "bridge_cafile /nowhere.pem"));
    mqtt_bridge_specs_done(&specs);
}

static const char secret[] = "correct horse battery staple";

/** Writes lines enough to make whatever holds them grow, and the secret in the middle. */
static void write_bridge(char *text, size_t size, const char *last)
{
    struct text_builder builder = text_builder_of(text, size);
    text_append(&builder, BRIDGE "remote_username u\n");
    text_append_format(&builder, "remote_password %s one\n", secret);
    text_append_format(&builder, "remote_password %s two\n", secret);
    for (unsigned i = 0; i < 50; i++)
        text_append_format(&builder, "topic a%u out 1\n", i);
    text_append(&builder, last);
    assert_false(builder.truncated);
}

static void test_passwords_leave_no_copies_behind(void **state)
{
    (void)state;
    char path[] = "/tmp/roost-bridge-password-XXXXXX";
    int fd = mkstemp(path);
    ssize_t size = (ssize_t)strlen(secret);
    assert_true(fd >= 0 && write(fd, secret, (size_t)size) == size && close(fd) == 0);
    char from_file[100], text[4096];
    snprintf(from_file, sizeof(from_file), "remote_password_file %s\n", path);
    setenv("BRIDGE_SECRET", secret, 1);
    const char *const last[] = { "",
                                 "remote_password_env BRIDGE_SECRET\n",
                                 from_file,
                                 "connection second\naddress localhost\ntopic a\n",
                                 "remote_password_file /nowhere\n",
                                 "a mistake\n" };
    for (size_t i = 0; i < array_size(last); i++) {
        write_bridge(text, sizeof(text), last[i]);
        if (!freed_watch(secret))
            skip();
        struct mqtt_bridge_specs specs;
        struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
        if (mqtt_bridge_specs_parse(bytes_of_text(text), &specs, &problem) == 0) {
            bool loaded = mqtt_bridge_specs_load(&specs, &problem) == 0;
            assert_true(loaded || strstr(last[i], "nowhere"));
            mqtt_bridge_specs_done(&specs);
        }
        assert_int_equal(freed_count(), 0);
    }
    unlink(path);
}

static bool are_same(const char *one, const char *other)
{
    struct mqtt_bridge_specs specs[2];
    assert_int_equal(load(one, &specs[0]), 0);
    assert_int_equal(load(other, &specs[1]), 0);
    bool same = memcmp(specs[0].items[0].identity, specs[1].items[0].identity,
                       sizeof(specs[0].items[0].identity)) == 0;
    mqtt_bridge_specs_done(&specs[0]);
    mqtt_bridge_specs_done(&specs[1]);
    return same;
}

/** Of what a reload connects anew. */
static void test_what_makes_another_bridge(void **state)
{
    (void)state;
    assert_true(are_same(BRIDGE, "# but for comments\n" BRIDGE "\n  # and lines without words"));
    assert_true(are_same(BRIDGE "keepalive_interval 30\n", BRIDGE " keepalive_interval  30 \n"));
    assert_false(are_same(BRIDGE, BRIDGE "keepalive_interval 30\n"));
    assert_false(are_same(BRIDGE "keepalive_interval 31\n", BRIDGE "keepalive_interval 30\n"));
    // the same letters, in other words
    assert_false(are_same(BRIDGE "topic b out\n", BRIDGE "topic bout\n"));
    const char *by_variable = BRIDGE "remote_username u\nremote_password_env BRIDGE_SECRET\n";
    struct mqtt_bridge_specs specs;
    setenv("BRIDGE_SECRET", "before", 1);
    assert_int_equal(load(by_variable, &specs), 0);
    assert_true(are_same(by_variable, by_variable));
    setenv("BRIDGE_SECRET", "after", 1);
    struct mqtt_bridge_specs others;
    assert_int_equal(load(by_variable, &others), 0);
    assert_memory_not_equal(specs.items[0].identity, others.items[0].identity,
                            sizeof(specs.items[0].identity));
    mqtt_bridge_specs_done(&specs);
    mqtt_bridge_specs_done(&others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_bridge),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_a_password_does_not_cross_the_network_as_it_is),
        cmocka_unit_test(test_passwords_come_from_files_and_the_environment),
        cmocka_unit_test(test_passwords_leave_no_copies_behind),
        cmocka_unit_test(test_what_makes_another_bridge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
