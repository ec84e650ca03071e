// Memory for secrets: none stays in what is given back.
#include "support/check.h"
#include "support/freed.h"

#include <stdlib.h>

#include "base/memory.h"

#define SECRET "correct horse battery staple"

/** Grows a block with the secret step by step, and makes it small. */
static void move(void)
{
    size_t size = sizeof(SECRET);
    char *memory = memory_resize_wiped(NULL, 0, size);
    memcpy(memory, SECRET, size);
    for (size_t larger = size * 2; larger < 100000; larger *= 2) {
        memory = memory_resize_wiped(memory, size, larger);
        assert_string_equal(memory, SECRET);
        // what is new is zero
        assert_int_equal(memory[size], 0);
        assert_int_equal(memory[larger - 1], 0);
        size = larger;
    }
    memory = memory_resize_wiped(memory, size, 7);
    assert_memory_equal(memory, SECRET, 7);
    free(memory);
}

static void what_moves_keeps_its_content_and_more_is_zero(void **state)
{
    (void)state;
    move();
}

static void what_moves_is_wiped_in_the_old_place(void **state)
{
    (void)state;
    if (!freed_watch(SECRET))
        skip();
    move();
    assert_int_equal(freed_count(), 0);

    // the watch sees what it is for
    freed_watch(SECRET);
    char *memory = memory_copy(SECRET, sizeof(SECRET));
    memory = memory_resize(memory, 100000);
    assert_int_equal(freed_count(), 1);
    memory_wipe(memory, 100000);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_keeps_its_content_and_more_is_zero),
        cmocka_unit_test(what_moves_is_wiped_in_the_old_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
