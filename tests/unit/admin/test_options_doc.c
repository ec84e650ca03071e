#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/options_doc.h"
#include "admin/options_int.h"
#include "base/memory.h"
#include "runtime/files.h"

#define DOC_MAX (256u << 10)

static char *write_doc(enum options_doc doc)
{
    char *text = memory_allocate(1, DOC_MAX);
    struct text_builder out = text_builder_of(text, DOC_MAX);
    options_doc_write(doc, &out);
    assert_false(out.truncated);
    return text;
}

static void assert_committed(enum options_doc doc, const char *path)
{
    char *expected = write_doc(doc), *found = NULL;
    size_t size = 0;
    if (file_read(path, DOC_MAX, &found, &size) < 0)
        fail_msg("%s is missing: run `make docs`", path);
    if (strcmp(expected, found) != 0)
        fail_msg("%s is not up to date: run `make docs`", path);
    free(found);
    free(expected);
}

static void test_the_committed_documents_are_up_to_date(void **state)
{
    (void)state;
    assert_committed(OPTIONS_DOC_SAMPLE, ROOST_SOURCE_DIR "/config/roost.conf.sample");
    assert_committed(OPTIONS_DOC_MAN, ROOST_SOURCE_DIR "/packaging/roost.1");
    assert_committed(OPTIONS_DOC_MARKDOWN, ROOST_SOURCE_DIR "/docs/configuration.md");
}

/** The sample as it is, and with every option uncommented, is a valid file that changes nothing. */
static void test_the_sample_is_valid_and_means_the_defaults(void **state)
{
    (void)state;
    char *text = write_doc(OPTIONS_DOC_SAMPLE);
    for (int round = 0; round < 2; round++) {
        struct options options, defaults;
        struct options_problems problems = { 0 };
        struct option_change changes[OPTION_COUNT];
        options_init(&options);
        options_init(&defaults);
        options_parse(&options, "sample", bytes_of_text(text), &problems);
        if (problems.count > 0)
            fail_msg("%s", problems.sentences[0]);
        assert_int_equal(options_reload(&defaults, &options, changes), 0);
        size_t set = 0;
        for (size_t i = 0; i < OPTION_COUNT; i++)
            set += options.origins[i].source == OPTION_FROM_FILE;
        assert_int_equal(set, round == 0 ? 0 : OPTION_COUNT);
        options_done(&defaults);
        options_done(&options);
        // "#key = value" becomes "key = value"; "# prose" stays
        for (char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
            if (at[0] == '#' && at[1] != ' ')
                at[0] = ' ';
        }
    }
    free(text);
}

static void test_every_document_has_every_option(void **state)
{
    (void)state;
    for (int doc = OPTIONS_DOC_SAMPLE; doc <= OPTIONS_DOC_MARKDOWN; doc++) {
        char *text = write_doc((enum options_doc)doc);
        for (size_t i = 0; i < OPTION_COUNT; i++)
            assert_non_null(strstr(text, option_rows[i].key));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_committed_documents_are_up_to_date),
        cmocka_unit_test(test_the_sample_is_valid_and_means_the_defaults),
        cmocka_unit_test(test_every_document_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
