#include "support/check.h"

#include <errno.h>

#include "admin/admission_hook.h"

static struct admission_answer read_answer(const char *body)
{
    struct admission_answer answer;
    admission_answer_read(bytes_of_text(body), "demo", 1000, &answer);
    return answer;
}

static void test_an_answer_grants_what_a_token_would(void **state)
{
    (void)state;
    struct admission_answer answer =
        read_answer("{\"allow\":true,\"user\":\"ada\",\"publish\":[\"camera\"],\"admin\":true}");
    assert_int_equal(answer.result, 0);
    assert_string_equal(answer.grants.room, "demo");
    assert_string_equal(answer.grants.user, "ada");
    assert_false(answer.grants.admin);
    assert_true(token_may_publish(&answer.grants, ROOM_SOURCE_CAMERA));
    assert_false(token_may_publish(&answer.grants, ROOM_SOURCE_MICROPHONE));
    // a grant for another room is none for this one
    answer = read_answer("{\"allow\":true,\"room\":\"other\"}");
    assert_int_equal(answer.result, 0);
    assert_false(token_admits(&answer.grants, "demo"));
}

static void test_a_refusal_has_the_operators_words(void **state)
{
    (void)state;
    struct admission_answer answer = read_answer("{\"allow\":false,\"message\":\"Later.\"}");
    assert_int_equal(answer.result, -EACCES);
    assert_string_equal(answer.message, "Later.");
    char body[600] = "{\"allow\":false,\"message\":\"";
    memset(body + strlen(body), 'x', 400);
    strcat(body, "\"}");
    answer = read_answer(body);
    assert_int_equal(answer.result, -EACCES);
    assert_string_equal(answer.message, "");
    assert_int_equal(read_answer("{\"allow\":false,\"message\":7}").result, -EACCES);
}

static void test_anything_else_lets_nobody_in(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "true",
        "{}",
        "{\"allow\":1}",
        "{\"allow\":\"true\"}",
        "{\"allow\":true,\"allow\":true}",
        "{\"allow\":true,\"exp\":999}",
        "{\"allow\":true,\"nbf\":2000}",
        "{\"allow\":true,\"data\":\"false\"}",
    };
    for (size_t i = 0; i < array_size(bodies); i++)
        assert_int_equal(read_answer(bodies[i]).result, -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_grants_what_a_token_would),
        cmocka_unit_test(test_a_refusal_has_the_operators_words),
        cmocka_unit_test(test_anything_else_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
