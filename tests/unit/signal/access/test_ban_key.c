#include "signal/access/ban_key.h"

#include <string.h>

#include "support/check.h"

static struct net_address address_of(const char *text)
{
    struct net_address address;
    assert_int_equal(net_address_parse_ip(text, 0, &address), 0);
    return address;
}

static void expect(const struct token_grants *grants, const char *ip, const char *name,
                   const char *expected)
{
    struct net_address address = address_of(ip);
    char key[ROOM_BAN_KEY_SIZE];
    ban_key_write(grants, &address, name, key);
    assert_string_equal(key, expected);
}

static void test_users_are_known_wherever_they_come_from(void **state)
{
    (void)state;
    const struct token_grants ann = { .user = "ann", .name = "Ann A." };
    expect(&ann, "192.0.2.7", "Ann A.", "user:ann");
    expect(&ann, "2001:db8::1", NULL, "user:ann");
}

static void test_guests_are_known_by_address_and_name(void **state)
{
    (void)state;
    const struct token_grants none = { 0 };
    expect(&none, "192.0.2.7", "Ann", "guest:192.0.2.7/Ann");
    expect(&none, "192.0.2.7", NULL, "viewer:192.0.2.7");
    // a household has as many addresses of its /64 as it likes
    expect(&none, "2001:db8:1:2:aaaa::1", "Ann", "guest:2001:db8:1:2::/Ann");
    expect(&none, "2001:db8:1:2:bbbb::9", "Ann", "guest:2001:db8:1:2::/Ann");
    expect(&none, "2001:db8:1:3::1", NULL, "viewer:2001:db8:1:3::");
}

static void test_the_longest_names_fit(void **state)
{
    (void)state;
    char name[ROOM_MEMBER_SIZE], key[ROOM_BAN_KEY_SIZE];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct net_address address = address_of("2001:db8:1111:2222:3333:4444:5555:6666");
    ban_key_write(&(struct token_grants){ 0 }, &address, name, key);
    assert_string_equal(strchr(key, '/') + 1, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_are_known_wherever_they_come_from),
        cmocka_unit_test(test_guests_are_known_by_address_and_name),
        cmocka_unit_test(test_the_longest_names_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
