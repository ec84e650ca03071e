#include <stdio.h>

#include "support/check.h"

#include "base/datagram.h"
#include "base/handle.h"
#include "base/index.h"
#include "base/list.h"
#include "base/map.h"

static void test_map_keeps_entries_over_growth_and_removal(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, (uint64_t[2]){ 1, 2 });
    static uint64_t values[1000];
    for (uint64_t i = 0; i < 1000; i++) {
        values[i] = i;
        assert_null(map_set(&map, map_key_u64(&i), &values[i]));
    }
    for (uint64_t i = 0; i < 1000; i += 2)
        assert_ptr_equal(map_remove(&map, map_key_u64(&i)), &values[i]);
    for (uint64_t i = 0; i < 1000; i++)
        assert_ptr_equal(map_find(&map, map_key_u64(&i)), i % 2 ? &values[i] : NULL);
    // removing and adding for long must not fill the table with removed places
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t key = 5000 + i;
        map_set(&map, map_key_u64(&key), &values[0]);
        map_remove(&map, map_key_u64(&key));
    }
    assert_int_equal(map.count, 500);
    assert_true(map.capacity <= 4096);
    size_t cursor = 0, seen = 0;
    void *value;
    while (map_next(&map, &cursor, NULL, &value))
        seen++;
    assert_int_equal(seen, 500);
    map_done(&map);
}

struct fruit {
    struct index_entry entry;
    unsigned number;
    char name[16];
};

static struct bytes name_of_fruit(unsigned number, char out[16])
{
    snprintf(out, 16, "fruit %u", number);
    return bytes_of_text(out);
}

static void test_an_index_finds_objects_by_the_keys_they_hold(void **state)
{
    (void)state;
    static const uint64_t secret[2] = { 1, 2 };
    static struct fruit fruits[1000];
    struct index index;
    char name[16];
    index_init(&index, secret, index_key_offset(struct fruit, entry, name));
    assert_null(index_find(&index, name_of_fruit(0, name)));
    assert_null(index_first(&index));
    for (unsigned i = 0; i < 1000; i++) {
        fruits[i].number = i;
        fruits[i].entry.key_size = (uint32_t)name_of_fruit(i, fruits[i].name).size;
        index_add(&index, &fruits[i].entry);
    }
    // the walk may take out where it stands
    struct fruit *fruit;
    unsigned seen = 0;
    index_each(fruit, &index, entry)
    {
        seen++;
        if (fruit->number % 2 == 0)
            index_remove(&index, &fruit->entry);
    }
    assert_int_equal(seen, 1000);
    assert_int_equal(index.count, 500);
    for (unsigned i = 0; i < 1000; i++) {
        struct index_entry *found = index_find(&index, name_of_fruit(i, name));
        assert_ptr_equal(found, i % 2 ? &fruits[i].entry : NULL);
    }
    // the same bytes, but fewer of them
    assert_null(index_find(&index, bytes_of("fruit 99", 6)));
    for (unsigned i = 1; i < 1000; i += 2)
        index_remove(&index, &fruits[i].entry);
    assert_null(index_first(&index));
    index_done(&index);
}

static void test_map_takes_long_keys(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, (uint64_t[2]){ 0 });
    static const char key[] = "a key that is a good deal longer than what fits into the slot";
    int value;
    map_set(&map, bytes_of_text(key), &value);
    assert_ptr_equal(map_find(&map, bytes_of_text(key)), &value);
    assert_null(map_find(&map, bytes_of_text("another")));
    map_done(&map);
}

static void test_stale_handles_find_nothing(void **state)
{
    (void)state;
    struct handle_table table;
    handle_table_init(&table, 2);
    int a, b, c;
    handle first = handle_table_add(&table, &a);
    handle second = handle_table_add(&table, &b);
    assert_int_equal(handle_table_add(&table, &c), 0);
    assert_ptr_equal(handle_table_remove(&table, first), &a);
    handle third = handle_table_add(&table, &c);
    assert_int_not_equal(third, first);
    assert_null(handle_table_find(&table, first));
    assert_null(handle_table_find(&table, 0));
    assert_ptr_equal(handle_table_find(&table, second), &b);
    assert_ptr_equal(handle_table_find(&table, third), &c);
    handle_table_done(&table);
}

struct item {
    struct list node;
    int number;
};

static void test_list_walk_allows_removal(void **state)
{
    (void)state;
    struct list list;
    list_init(&list);
    struct item items[4];
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_append(&list, &items[i].node);
    }
    struct item *item;
    int sum = 0;
    list_each(item, &list, node)
    {
        sum += item->number;
        list_remove(&item->node);
    }
    assert_int_equal(sum, 6);
    assert_true(list_empty(&list));
}

static void test_datagrams_of_one_path_and_size_form_runs(void **state)
{
    (void)state;
    struct datagram_batch batch;
    datagram_batch_init(&batch, 16384, 8);
    struct net_path a = { .remote = net_address_ipv4(192, 0, 2, 1, 1) };
    struct net_path b = { .remote = net_address_ipv4(192, 0, 2, 2, 1) };
    static const uint8_t data[1200];
    const struct {
        const struct net_path *path;
        size_t size;
    } sent[] = { { &a, 1200 }, { &a, 1200 }, { &a, 800 }, { &a, 800 }, { &b, 800 }, { &b, 900 } };
    for (size_t i = 0; i < array_size(sent); i++)
        assert_true(datagram_batch_add(&batch, sent[i].path, data, sent[i].size));
    assert_int_equal(batch.run_count, 4);
    assert_int_equal(batch.runs[0].count, 3);
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *at;
    size_t size, count = 0;
    while (datagram_batch_next(&batch, &cursor, &path, &at, &size)) {
        assert_int_equal(size, sent[count].size);
        assert_true(net_path_equal(&path, sent[count].path));
        count++;
    }
    assert_int_equal(count, array_size(sent));
    datagram_batch_done(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_keeps_entries_over_growth_and_removal),
        cmocka_unit_test(test_map_takes_long_keys),
        cmocka_unit_test(test_an_index_finds_objects_by_the_keys_they_hold),
        cmocka_unit_test(test_stale_handles_find_nothing),
        cmocka_unit_test(test_list_walk_allows_removal),
        cmocka_unit_test(test_datagrams_of_one_path_and_size_form_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
