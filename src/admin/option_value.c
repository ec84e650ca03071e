// Values of options: text to field and back, one small function per type.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin/options_int.h"
#include "base/memory.h"
#include "base/time.h"

struct unit {
    const char *name;
    uint64_t factor;
};

// from small to large: writing takes the largest that divides the value
static const struct unit size_units[] = {
    { "", 1 }, { "k", 1024 }, { "m", 1024 * 1024 }, { "g", 1024ull * 1024 * 1024 }, { 0 }
};
static const struct unit duration_units[] = { { "us", 1 },
                                              { "ms", TIME_US_PER_MS },
                                              { "s", TIME_US_PER_S },
                                              { "m", 60 * TIME_US_PER_S },
                                              { "h", 3600 * TIME_US_PER_S },
                                              { "d", 86400 * TIME_US_PER_S },
                                              { 0 } };
static const struct unit plain_units[] = { { "", 1 }, { 0 } };

static const struct unit *units_of(enum option_type type)
{
    if (type == OPTION_SIZE)
        return size_units;
    return type == OPTION_DURATION ? duration_units : plain_units;
}

/** "250ms" with a table of units. Returns 0, -EINVAL or -ERANGE. */
static int parse_quantity(struct bytes text, const struct unit *units, uint64_t *ret_value)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t number = 0;
    int result = text_parse_u64(bytes_of(text.data, digits), UINT64_MAX, &number);
    if (result < 0)
        return result;
    struct bytes unit = bytes_of(text.data + digits, text.size - digits);
    for (; units->name; units++) {
        if (!text_equal_ignore_case(unit, units->name))
            continue;
        if (number > UINT64_MAX / units->factor)
            return -ERANGE;
        *ret_value = number * units->factor;
        return 0;
    }
    return -EINVAL;
}

int option_parse_duration(struct bytes text, uint64_t *ret_us)
{
    return parse_quantity(text, duration_units, ret_us);
}

static void write_quantity(uint64_t value, const struct unit *units, struct text_builder *out)
{
    const struct unit *best = units;
    for (; units->name; units++) {
        if (value > 0 && value % units->factor == 0)
            best = units;
        if (value == 0 && units->factor == TIME_US_PER_S)
            best = units; // "0s" rather than "0us"
    }
    text_append_format(out, "%" PRIu64 "%s", value / best->factor, best->name);
}

struct range {
    struct bytes low_text;
    struct bytes high_text;
    uint64_t low;
    uint64_t high;
};

/** The limits "low..high" of a row. A row whose limits are broken breaks the unit tests. */
static struct range range_of(const struct option_row *row)
{
    const char *dots = strstr(row->limits, "..");
    ensure(dots);
    struct range range = {
        .low_text = bytes_of(row->limits, (size_t)(dots - row->limits)),
        .high_text = bytes_of_text(dots + 2),
    };
    ensure(parse_quantity(range.low_text, units_of(row->type), &range.low) == 0);
    ensure(parse_quantity(range.high_text, units_of(row->type), &range.high) == 0);
    return range;
}

static void expect_range(const struct option_row *row, const struct range *range,
                         struct text_builder *expected)
{
    static const char *const what[] = {
        [OPTION_NUMBER] = "a number",
        [OPTION_PORT] = "a port number",
        [OPTION_SIZE] = "a size (bytes, or with k, m, g)",
        [OPTION_DURATION] = "a duration (with its unit: ms, s, m, h, d)",
    };
    text_append_format(expected, "%s from %.*s to %.*s", what[row->type], (int)range->low_text.size,
                       (const char *)range->low_text.data, (int)range->high_text.size,
                       (const char *)range->high_text.data);
}

static int parse_bounded(const struct option_row *row, struct bytes text, uint64_t *ret_value,
                         struct text_builder *expected)
{
    struct range range = range_of(row);
    uint64_t value = 0;
    if (parse_quantity(text, units_of(row->type), &value) < 0 || value < range.low ||
        value > range.high) {
        expect_range(row, &range, expected);
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

static int parse_number(const struct option_row *row, struct bytes text, void *field,
                        struct text_builder *expected)
{
    uint64_t value = 0;
    int result = parse_bounded(row, text, &value, expected);
    if (result < 0)
        return result;
    switch (row->type) {
    case OPTION_NUMBER:
        *(uint32_t *)field = (uint32_t)value;
        break;
    case OPTION_PORT:
        *(uint16_t *)field = (uint16_t)value;
        break;
    default:
        *(uint64_t *)field = value;
    }
    return 0;
}

static int parse_bool(struct bytes text, bool *field, struct text_builder *expected)
{
    static const char *const yes[] = { "true", "yes", "on", "1" };
    static const char *const no[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < array_size(yes); i++) {
        bool is_yes = text_equal_ignore_case(text, yes[i]);
        if (is_yes || text_equal_ignore_case(text, no[i])) {
            *field = is_yes;
            return 0;
        }
    }
    text_append(expected, "true or false");
    return -EINVAL;
}

/** The index of `text` among "a|b|c", or -1. */
static int choice_find(const char *choices, struct bytes text)
{
    struct bytes rest = bytes_of_text(choices);
    for (int index = 0; rest.data; index++) {
        if (bytes_equal(text_take_until(&rest, '|'), text))
            return index;
    }
    return -1;
}

static void expect_choices(const char *choices, struct text_builder *expected)
{
    struct bytes rest = bytes_of_text(choices);
    text_append(expected, "one of ");
    for (bool first = true; rest.data; first = false) {
        if (!first)
            text_append(expected, ", ");
        text_append_bytes(expected, text_take_until(&rest, '|'));
    }
}

static int parse_enum(const struct option_row *row, struct bytes text, int *field,
                      struct text_builder *expected)
{
    int index = choice_find(row->limits, text);
    if (index < 0) {
        expect_choices(row->limits, expected);
        return -EINVAL;
    }
    *field = index;
    return 0;
}

static int parse_text(const struct option_row *row, struct bytes text, char **field,
                      struct text_builder *expected)
{
    uint64_t low = 0, high = 4095; // a path
    if (*row->limits) {
        const char *dots = strstr(row->limits, "..");
        ensure(dots && text_parse_u64(bytes_of_text(dots + 2), UINT32_MAX, &high) == 0);
        struct bytes low_text = bytes_of(row->limits, (size_t)(dots - row->limits));
        ensure(text_parse_u64(low_text, UINT32_MAX, &low) == 0);
    }
    if (text.size < low || text.size > high) {
        text_append_format(expected, "a text of %" PRIu64 " to %" PRIu64 " bytes", low, high);
        return -EINVAL;
    }
    free(*field);
    *field = memory_copy(text.data, text.size);
    return 0;
}

/** Takes the next item of a list: separated by commas or white space. False at the end. */
static bool take_item(struct bytes *rest, struct bytes *ret_item)
{
    static const char separators[] = ", \t";
    size_t at = 0;
    while (at < rest->size && strchr(separators, rest->data[at]))
        at++;
    size_t end = at;
    while (end < rest->size && !strchr(separators, rest->data[end]))
        end++;
    *ret_item = bytes_of(rest->data + at, end - at);
    *rest = bytes_of(rest->data + end, rest->size - end);
    return end > at;
}

static size_t count_items(struct bytes text)
{
    size_t count = 0;
    struct bytes item;
    while (take_item(&text, &item))
        count++;
    return count;
}

static int parse_list(const struct option_row *row, struct bytes text, struct option_list *field,
                      struct text_builder *expected)
{
    struct bytes item, rest = text;
    while (*row->limits && take_item(&rest, &item)) {
        if (choice_find(row->limits, item) < 0) {
            text_append(expected, "a list, each ");
            expect_choices(row->limits, expected);
            return -EINVAL;
        }
    }
    struct option_list list = { .items = memory_new_array(char *, count_items(text) + 1) };
    while (take_item(&text, &item))
        list.items[list.count++] = memory_copy(item.data, item.size);
    option_value_free(row, field);
    *field = list;
    return 0;
}

static int parse_ip(struct bytes text, struct net_address *ret_address)
{
    char terminated[NET_ADDRESS_TEXT_MAX];
    if (text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']')
        text = bytes_of(text.data + 1, text.size - 2);
    int result = text_copy(terminated, sizeof(terminated), text);
    return result < 0 ? -EINVAL : net_address_parse_ip(terminated, 0, ret_address);
}

static int parse_address(struct bytes text, struct net_address *field,
                         struct text_builder *expected)
{
    struct net_address address = { 0 };
    if (text.size > 0 && parse_ip(text, &address) < 0) {
        text_append(expected, "an IPv4 or IPv6 address, without a port");
        return -EINVAL;
    }
    *field = address;
    return 0;
}

static int parse_addresses(const struct option_row *row, struct bytes text,
                           struct option_addresses *field, struct text_builder *expected)
{
    struct option_addresses list = { .items =
                                         memory_new_array(struct net_address, count_items(text)) };
    struct bytes item;
    while (take_item(&text, &item)) {
        if (parse_ip(item, &list.items[list.count++]) < 0) {
            free(list.items);
            text_append(expected, "a list of IPv4 or IPv6 addresses, without ports");
            return -EINVAL;
        }
    }
    option_value_free(row, field);
    *field = list;
    return 0;
}

static int parse_network(struct bytes text, struct option_network *ret_network)
{
    struct bytes rest = text;
    struct bytes ip = text_take_until(&rest, '/');
    struct option_network network = { 0 };
    if (parse_ip(ip, &network.address) < 0)
        return -EINVAL;
    uint64_t bits = network.address.family == NET_IPV4 ? 32 : 128;
    if (ip.size < text.size && text_parse_u64(rest, bits, &bits) < 0)
        return -EINVAL;
    network.bits = (uint8_t)bits;
    *ret_network = network;
    return 0;
}

static int parse_networks(const struct option_row *row, struct bytes text,
                          struct option_networks *field, struct text_builder *expected)
{
    struct option_networks list = { .items = memory_new_array(struct option_network,
                                                              count_items(text)) };
    struct bytes item;
    while (take_item(&text, &item)) {
        if (parse_network(item, &list.items[list.count++]) < 0) {
            free(list.items);
            text_append(expected, "a list of addresses or networks such as 192.0.2.0/24");
            return -EINVAL;
        }
    }
    option_value_free(row, field);
    *field = list;
    return 0;
}

/** Text that may stand in any value: UTF-8 without control characters. */
static bool is_clean(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
            return false;
    }
    return text_is_utf8(text);
}

int option_value_parse(const struct option_row *row, struct bytes text, void *field,
                       struct text_builder *ret_expected)
{
    if (!is_clean(text)) {
        text_append(ret_expected, "UTF-8 text without control characters");
        return -EINVAL;
    }
    if (row->type >= OPTION_LIST && count_items(text) > OPTION_LIST_MAX) {
        text_append_format(ret_expected, "at most %d items", OPTION_LIST_MAX);
        return -EINVAL;
    }
    switch (row->type) {
    case OPTION_BOOL:
        return parse_bool(text, field, ret_expected);
    case OPTION_NUMBER:
    case OPTION_PORT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return parse_number(row, text, field, ret_expected);
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_SECRET:
        return parse_text(row, text, field, ret_expected);
    case OPTION_ENUM:
        return parse_enum(row, text, field, ret_expected);
    case OPTION_LIST:
        return parse_list(row, text, field, ret_expected);
    case OPTION_ADDRESS:
        return parse_address(text, field, ret_expected);
    case OPTION_ADDRESSES:
        return parse_addresses(row, text, field, ret_expected);
    case OPTION_NETWORKS:
        return parse_networks(row, text, field, ret_expected);
    }
    return -EINVAL;
}

void option_value_free(const struct option_row *row, void *field)
{
    if (row->type == OPTION_LIST) {
        struct option_list *list = field;
        for (size_t i = 0; i < list->count; i++)
            free(list->items[i]);
        free(list->items);
    } else if (row->type == OPTION_ADDRESSES) {
        free(((struct option_addresses *)field)->items);
    } else if (row->type == OPTION_NETWORKS) {
        free(((struct option_networks *)field)->items);
    } else if (row->type == OPTION_TEXT || row->type == OPTION_PATH) {
        free(*(char **)field);
    } else if (row->type == OPTION_SECRET) {
        char *secret = *(char **)field;
        if (secret)
            memory_wipe(secret, strlen(secret));
        free(secret);
    }
    memset(field, 0, option_field_size(row->type));
}

size_t option_field_size(enum option_type type)
{
    static const size_t sizes[] = {
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_NUMBER] = sizeof(uint32_t),
        [OPTION_PORT] = sizeof(uint16_t),
        [OPTION_SIZE] = sizeof(uint64_t),
        [OPTION_DURATION] = sizeof(uint64_t),
        [OPTION_TEXT] = sizeof(char *),
        [OPTION_PATH] = sizeof(char *),
        [OPTION_SECRET] = sizeof(char *),
        [OPTION_ENUM] = sizeof(int),
        [OPTION_LIST] = sizeof(struct option_list),
        [OPTION_ADDRESS] = sizeof(struct net_address),
        [OPTION_ADDRESSES] = sizeof(struct option_addresses),
        [OPTION_NETWORKS] = sizeof(struct option_networks),
    };
    return sizes[type];
}

static bool lists_equal(const struct option_list *a, const struct option_list *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = strcmp(a->items[i], b->items[i]) == 0;
    return equal;
}

bool option_values_equal(const struct option_row *row, const struct roost_options *a,
                         const struct roost_options *b)
{
    const void *left = option_field_const(row, a), *right = option_field_const(row, b);
    switch (row->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_SECRET:
        return strcmp(*(char *const *)left, *(char *const *)right) == 0;
    case OPTION_LIST:
        return lists_equal(left, right);
    case OPTION_ADDRESSES: {
        const struct option_addresses *x = left, *y = right;
        return x->count == y->count &&
               memcmp(x->items, y->items, x->count * sizeof(*x->items)) == 0;
    }
    case OPTION_NETWORKS: {
        const struct option_networks *x = left, *y = right;
        return x->count == y->count &&
               memcmp(x->items, y->items, x->count * sizeof(*x->items)) == 0;
    }
    default:
        return memcmp(left, right, option_field_size(row->type)) == 0;
    }
}

void option_values_swap(const struct option_row *row, struct roost_options *a,
                        struct roost_options *b)
{
    unsigned char kept[sizeof(struct net_address)];
    size_t size = option_field_size(row->type);
    ensure(size <= sizeof(kept));
    void *left = option_field(row, a), *right = option_field(row, b);
    memcpy(kept, left, size);
    memcpy(left, right, size);
    memcpy(right, kept, size);
}

static void write_list(const struct option_list *list, struct text_builder *out)
{
    for (size_t i = 0; i < list->count; i++)
        text_append_format(out, "%s%s", i > 0 ? ", " : "", list->items[i]);
}

static void write_addresses(const struct option_addresses *list, struct text_builder *out)
{
    char text[NET_ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++)
        text_append_format(out, "%s%s", i > 0 ? ", " : "",
                           net_address_format_ip(&list->items[i], text));
}

static void write_networks(const struct option_networks *list, struct text_builder *out)
{
    char text[NET_ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++) {
        const struct option_network *network = &list->items[i];
        text_append_format(out, "%s%s", i > 0 ? ", " : "",
                           net_address_format_ip(&network->address, text));
        if (network->bits < (network->address.family == NET_IPV4 ? 32 : 128))
            text_append_format(out, "/%u", network->bits);
    }
}

static void write_enum(const char *choices, int index, struct text_builder *out)
{
    struct bytes rest = bytes_of_text(choices);
    for (; index > 0; index--)
        text_take_until(&rest, '|');
    text_append_bytes(out, text_take_until(&rest, '|'));
}

void option_write_value(const struct option_row *row, const struct roost_options *values,
                        struct text_builder *out)
{
    const void *field = option_field_const(row, values);
    char text[NET_ADDRESS_TEXT_MAX];
    switch (row->type) {
    case OPTION_BOOL:
        text_append(out, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_NUMBER:
        text_append_format(out, "%" PRIu32, *(const uint32_t *)field);
        break;
    case OPTION_PORT:
        text_append_format(out, "%u", *(const uint16_t *)field);
        break;
    case OPTION_SIZE:
    case OPTION_DURATION:
        write_quantity(*(const uint64_t *)field, units_of(row->type), out);
        break;
    case OPTION_TEXT:
    case OPTION_PATH:
        text_append(out, *(char *const *)field);
        break;
    case OPTION_SECRET:
        text_append(out, **(char *const *)field ? "(set)" : "");
        break;
    case OPTION_ENUM:
        write_enum(row->limits, *(const int *)field, out);
        break;
    case OPTION_LIST:
        write_list(field, out);
        break;
    case OPTION_ADDRESS:
        if (((const struct net_address *)field)->family != NET_NONE)
            text_append(out, net_address_format_ip(field, text));
        break;
    case OPTION_ADDRESSES:
        write_addresses(field, out);
        break;
    case OPTION_NETWORKS:
        write_networks(field, out);
        break;
    }
}

bool option_networks_contain(const struct option_networks *networks,
                             const struct net_address *address)
{
    struct net_address plain = net_address_unmapped(address);
    for (size_t i = 0; i < networks->count; i++) {
        const struct option_network *network = &networks->items[i];
        if (network->address.family != plain.family)
            continue;
        size_t whole = network->bits / 8, left = network->bits % 8;
        bool same = memcmp(network->address.ip, plain.ip, whole) == 0;
        if (same && left > 0)
            same = (network->address.ip[whole] ^ plain.ip[whole]) >> (8 - left) == 0;
        if (same)
            return true;
    }
    return false;
}

bool option_list_has(const struct option_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], item) == 0)
            return true;
    }
    return false;
}
