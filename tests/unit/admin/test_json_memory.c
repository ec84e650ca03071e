// What is left of JSON objects when they are gone.
#include "support/check.h"
#include "support/freed.h"

#include <jansson.h>
#include <stdio.h>

#include "admin/json_memory.h"

/** Reads a body with a secret that is long enough to move meanwhile, and one that is cut. */
static void read_bodies(void)
{
    char text[4096], secret[2048];
    memset(secret, 's', sizeof(secret) - 1);
    secret[sizeof(secret) - 1] = '\0';
    snprintf(text, sizeof(text), "{\"name\":\"ann\",\"password\":\"%s\"}", secret);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "password")), secret);
    json_decref(json);
    assert_null(json_loads("{\"password\":\"ssssssssssssssssssss", 0, NULL));
}

static void test_bodies_are_read(void **state)
{
    (void)state;
    json_memory_be_wiped();
    read_bodies();
}

static void test_nothing_of_a_body_is_left(void **state)
{
    (void)state;
    json_memory_be_wiped();
    if (!freed_watch("ssssssssssssssss"))
        skip();
    read_bodies();
    assert_int_equal(freed_count(), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_are_read),
        cmocka_unit_test(test_nothing_of_a_body_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
