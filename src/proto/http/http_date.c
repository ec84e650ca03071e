#include "proto/http/http_date.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

#define LAST_SECOND 253402300799 // 9999-12-31T23:59:59Z

struct date {
    int64_t year;
    unsigned month; // 1 to 12
    unsigned day;
};

/** Days since 1970-01-01, by counting years from March so that leap days come last. */
static int64_t days_from_date(struct date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = year / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned shifted = date.month > 2 ? date.month - 3 : date.month + 9;
    unsigned day_of_year = (153 * shifted + 2) / 5 + date.day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days)
{
    days += 719468;
    int64_t era = days / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    struct date date = { .day = day_of_year - (153 * shifted + 2) / 5 + 1,
                         .month = shifted < 10 ? shifted + 3 : shifted - 9 };
    date.year = (int64_t)year_of_era + era * 400 + (date.month <= 2);
    return date;
}

void http_date_write(int64_t unix_s, char out[HTTP_DATE_SIZE])
{
    unix_s = min_of(max_of(unix_s, (int64_t)0), (int64_t)LAST_SECOND);
    int64_t days = unix_s / 86400;
    unsigned second = (unsigned)(unix_s % 86400);
    struct date date = date_from_days(days);
    struct text_builder text = text_builder_of(out, HTTP_DATE_SIZE);
    text_append_format(&text, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[(days + 4) % 7],
                       date.day, month_names[date.month - 1], (unsigned)date.year, second / 3600,
                       second / 60 % 60, second % 60);
}

/** Takes `count` digits (spaces may stand for leading zeros when `padded`). */
static unsigned take_number(struct reader *reader, size_t count, bool padded)
{
    struct bytes text = reader_bytes(reader, count);
    uint64_t value = 0;
    while (padded && text.size > 1 && text.data[0] == ' ')
        text = bytes_of(text.data + 1, text.size - 1);
    if (text_parse_u64(text, UINT32_MAX, &value) != 0)
        reader->failed = true;
    return (unsigned)value;
}

static void take_text(struct reader *reader, const char *text)
{
    if (!text_equal(reader_bytes(reader, strlen(text)), text))
        reader->failed = true;
}

static unsigned take_month(struct reader *reader)
{
    struct bytes text = reader_bytes(reader, 3);
    for (unsigned i = 0; i < 12; i++) {
        if (text_equal(text, month_names[i]))
            return i + 1;
    }
    reader->failed = true;
    return 1;
}

static int64_t take_time_of_day(struct reader *reader)
{
    unsigned hour = take_number(reader, 2, false);
    take_text(reader, ":");
    unsigned minute = take_number(reader, 2, false);
    take_text(reader, ":");
    unsigned second = take_number(reader, 2, false);
    if (hour > 23 || minute > 59 || second > 60)
        reader->failed = true;
    return hour * 3600 + minute * 60 + second;
}

/** "06 Nov 1994 08:49:37 GMT" or, with dashes, "06-Nov-94 08:49:37 GMT" */
static int64_t take_day_first(struct reader *reader, bool dashes, struct date *date)
{
    const char *separator = dashes ? "-" : " ";
    date->day = take_number(reader, 2, false);
    take_text(reader, separator);
    date->month = take_month(reader);
    take_text(reader, separator);
    date->year = take_number(reader, dashes ? 2 : 4, false);
    if (dashes)
        date->year += date->year < 70 ? 2000 : 1900;
    take_text(reader, " ");
    int64_t second = take_time_of_day(reader);
    take_text(reader, " GMT");
    return second;
}

/** "Nov  6 08:49:37 1994" */
static int64_t take_month_first(struct reader *reader, struct date *date)
{
    date->month = take_month(reader);
    take_text(reader, " ");
    date->day = take_number(reader, 2, true);
    take_text(reader, " ");
    int64_t second = take_time_of_day(reader);
    take_text(reader, " ");
    date->year = take_number(reader, 4, false);
    return second;
}

int http_date_parse(struct bytes text, int64_t *ret_unix_s)
{
    const uint8_t *comma = text.size > 0 ? memchr(text.data, ',', text.size) : NULL;
    size_t start =
        comma ? (size_t)(comma - text.data) + 2 : 4; // behind "Sun, ", "Sunday, ", "Sun "
    if (text.size < start + 9)
        return -EINVAL;
    struct reader reader = reader_of(text.data, text.size);
    reader_skip(&reader, start - 1);
    take_text(&reader, " ");
    struct date date = { 0 };
    int64_t second = comma ? take_day_first(&reader, text.data[start + 2] == '-', &date)
                           : take_month_first(&reader, &date);
    if (!reader_finished(&reader) || date.day < 1 || date.day > 31 || date.year < 1)
        return -EINVAL;
    *ret_unix_s = days_from_date(date) * 86400 + second;
    return 0;
}
