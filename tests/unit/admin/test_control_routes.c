#include "support/check.h"

#include <ctype.h>
#include <stdio.h>

#include <jansson.h>

#include "admin/control_api.h"
#include "admin/openapi.h"

static json_t *document(void)
{
    json_t *json = json_loadb((const char *)openapi_text.data, openapi_text.size,
                              JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static void lower_name(unsigned method, char out[16])
{
    snprintf(out, 16, "%s", http_method_name((enum http_method)method));
    for (char *c = out; *c; c++)
        *c = (char)tolower(*c);
}

static void test_every_route_is_in_the_document(void **state)
{
    (void)state;
    json_t *json = document();
    for (const struct control_route *row = control_routes; row->pattern; row++) {
        char method[16];
        lower_name(row->method, method);
        json_t *operation =
            json_object_get(json_object_get(json_object_get(json, "paths"), row->pattern), method);
        if (!json_object_get(operation, "responses"))
            fail_msg("%s %s is not in openapi.json", method, row->pattern);
    }
    json_decref(json);
}

static void test_every_operation_of_the_document_has_a_route(void **state)
{
    (void)state;
    json_t *json = document(), *item, *operation;
    const char *path, *method;
    json_object_foreach(json_object_get(json, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            if (!json_is_object(operation))
                continue; // "parameters"
            bool found = false;
            for (const struct control_route *row = control_routes; row->pattern; row++) {
                char name[16];
                lower_name(row->method, name);
                found = found || (strcmp(row->pattern, path) == 0 && strcmp(name, method) == 0);
            }
            if (!found)
                fail_msg("%s %s has no route", method, path);
        }
    }
    json_decref(json);
}

static void test_parameters_of_paths_are_described(void **state)
{
    (void)state;
    json_t *json = document(), *item;
    const char *path;
    json_object_foreach(json_object_get(json, "paths"), path, item)
    {
        size_t wanted = 0;
        for (const char *c = path; *c; c++)
            wanted += *c == '{';
        assert_int_equal(json_array_size(json_object_get(item, "parameters")), wanted);
    }
    assert_string_equal(json_string_value(json_object_get(json, "openapi")), "3.1.0");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_in_the_document),
        cmocka_unit_test(test_every_operation_of_the_document_has_a_route),
        cmocka_unit_test(test_parameters_of_paths_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
