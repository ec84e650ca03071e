#include "support/check.h"

#include <errno.h>

#include "base/compiler.h"
#include "runtime/interfaces.h"

static void test_loopback_is_listed_and_no_address_twice(void **state)
{
    (void)state;
    struct interface_address list[64];
    int count = interface_list(list, array_size(list));
    assert_true(count > 0);
    bool loopback = false;
    for (int i = 0; i < count; i++) {
        loopback = loopback || list[i].loopback;
        for (int other = 0; other < i; other++)
            assert_false(net_address_same_ip(&list[i].address, &list[other].address));
    }
    assert_true(loopback);
}

/** With a route it is one of ours; without one it says so. */
static void test_the_way_to_the_internet_starts_at_an_address_of_ours(void **state)
{
    (void)state;
    static const uint8_t families[] = { NET_IPV4, NET_IPV6 };
    struct interface_address list[64];
    int count = interface_list(list, array_size(list));
    for (size_t i = 0; i < array_size(families); i++) {
        struct net_address source;
        int result = interface_source(families[i], &source);
        if (result < 0) {
            assert_true(result == -ENETUNREACH || result == -EADDRNOTAVAIL ||
                        result == -EAFNOSUPPORT || result == -EHOSTUNREACH || result == -EACCES);
            continue;
        }
        assert_int_equal(source.family, families[i]);
        assert_int_equal(source.port, 0);
        bool found = false;
        for (int place = 0; place < count; place++)
            found = found || net_address_same_ip(&list[place].address, &source);
        assert_true(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback_is_listed_and_no_address_twice),
        cmocka_unit_test(test_the_way_to_the_internet_starts_at_an_address_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
