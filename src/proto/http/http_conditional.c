#include "proto/http/http_conditional.h"

#include "base/text.h"
#include "proto/http/http_date.h"

static struct bytes etag_opaque(struct bytes etag)
{
    return text_starts_with(etag, "W/") ? bytes_of(etag.data + 2, etag.size - 2) : etag;
}

/** RFC 9110, 8.8.3.2. */
static bool etag_matches(struct bytes a, struct bytes b, bool strong)
{
    if (strong && (text_starts_with(a, "W/") || text_starts_with(b, "W/")))
        return false;
    return bytes_equal(etag_opaque(a), etag_opaque(b));
}

/** True when a field lists the etag or is "*". */
static bool etag_listed(const struct http_headers *headers, const char *name, struct bytes etag,
                        bool strong)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (!text_equal_ignore_case(headers->items[i].name, name))
            continue;
        struct bytes rest = headers->items[i].value;
        struct bytes element;
        while (http_list_next(&rest, &element)) {
            if (text_equal(element, "*") || (etag.size > 0 && etag_matches(element, etag, strong)))
                return true;
        }
    }
    return false;
}

/** True when the field holds a date that is not earlier than the last modification. */
static bool unmodified_since(struct bytes field, const struct http_validator *validator,
                             bool otherwise)
{
    int64_t date;
    if (validator->modified_unix_s == 0 || http_date_parse(field, &date) != 0)
        return otherwise;
    return validator->modified_unix_s <= date;
}

enum http_precondition http_precondition_check(const struct http_headers *headers,
                                               enum http_method method,
                                               const struct http_validator *validator)
{
    bool reads = method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD;
    if (http_headers_count(headers, "if-match") > 0) {
        if (!etag_listed(headers, "if-match", validator->etag, true))
            return HTTP_PRECONDITION_FAILED;
    } else {
        struct bytes since = http_headers_find(headers, "if-unmodified-since");
        if (since.data && !unmodified_since(since, validator, true))
            return HTTP_PRECONDITION_FAILED;
    }
    if (http_headers_count(headers, "if-none-match") > 0) {
        if (!etag_listed(headers, "if-none-match", validator->etag, false))
            return HTTP_PRECONDITION_OK;
        return reads ? HTTP_PRECONDITION_NOT_MODIFIED : HTTP_PRECONDITION_FAILED;
    }
    struct bytes since = http_headers_find(headers, "if-modified-since");
    if (reads && since.data && unmodified_since(since, validator, false))
        return HTTP_PRECONDITION_NOT_MODIFIED;
    return HTTP_PRECONDITION_OK;
}

/** RFC 9110, 13.1.5: whether the part the client has is of what we would serve now. */
static bool if_range_holds(const struct http_headers *headers,
                           const struct http_validator *validator)
{
    struct bytes field = http_headers_find(headers, "if-range");
    if (!field.data)
        return true;
    if (field.size > 0 && (field.data[0] == '"' || text_starts_with(field, "W/")))
        return validator->etag.size > 0 && etag_matches(field, validator->etag, true);
    int64_t date;
    return validator->modified_unix_s != 0 && http_date_parse(field, &date) == 0 &&
           date == validator->modified_unix_s;
}

/** One "first-last", "first-" or "-suffix" of RFC 9110, 14.1.2. */
static struct http_range range_parse(struct bytes spec, uint64_t size)
{
    struct http_range whole = { .kind = HTTP_RANGE_WHOLE };
    struct http_range none = { .kind = HTTP_RANGE_UNSATISFIABLE };
    struct bytes last_text = spec;
    struct bytes first_text = text_take_until(&last_text, '-');
    if (!last_text.data)
        return whole;
    uint64_t first = 0, last = UINT64_MAX;
    if (first_text.size > 0 && text_parse_u64(first_text, UINT64_MAX, &first) != 0)
        return whole;
    if (last_text.size > 0 && text_parse_u64(last_text, UINT64_MAX, &last) != 0)
        return whole;
    if (first_text.size == 0) {
        if (last_text.size == 0)
            return whole;
        if (last == 0 || size == 0)
            return none;
        first = last < size ? size - last : 0;
        last = size - 1;
    }
    if (last < first)
        return whole;
    if (first >= size)
        return none;
    return (struct http_range){ HTTP_RANGE_PART, first, min_of(last, size - 1) };
}

struct http_range http_range_choose(const struct http_headers *headers, uint64_t size,
                                    const struct http_validator *validator)
{
    struct http_range whole = { .kind = HTTP_RANGE_WHOLE };
    if (http_headers_count(headers, "range") != 1 || !if_range_holds(headers, validator))
        return whole;
    struct bytes field = http_headers_find(headers, "range");
    struct bytes unit = text_take_until(&field, '=');
    if (!field.data || !text_equal_ignore_case(unit, "bytes"))
        return whole;
    struct bytes spec, more;
    if (!http_list_next(&field, &spec) || http_list_next(&field, &more))
        return whole;
    return range_parse(spec, size);
}

/** The q parameter behind a coding in thousandths (RFC 9110, 12.4.2); 0 when malformed. */
static unsigned quality_parse(struct bytes parameters)
{
    while (parameters.size > 0) {
        struct bytes value = text_trim(text_take_until(&parameters, ';'));
        struct bytes name = text_trim(text_take_until(&value, '='));
        if (!text_equal_ignore_case(name, "q"))
            continue;
        value = text_trim(value);
        uint64_t whole, thousandths = 0;
        struct bytes fraction = value;
        if (text_parse_u64(text_take_until(&fraction, '.'), 1, &whole) != 0 || fraction.size > 3)
            return 0;
        if (fraction.size > 0 && text_parse_u64(fraction, 999, &thousandths) != 0)
            return 0;
        for (size_t i = fraction.size; i < 3; i++)
            thousandths *= 10;
        return (unsigned)min_of(whole * 1000 + thousandths, (uint64_t)1000);
    }
    return 1000;
}

static const struct {
    enum http_coding coding;
    const char *name;
} codings[] = {
    { HTTP_CODING_BROTLI, "br" },
    { HTTP_CODING_GZIP, "gzip" },
    { HTTP_CODING_IDENTITY, "identity" },
};

/** The quality of each coding as the fields say; -1 when not mentioned. Returns that of "*". */
static int qualities_read(const struct http_headers *headers, int out[array_size(codings)])
{
    int any = -1;
    for (size_t k = 0; k < array_size(codings); k++)
        out[k] = -1;
    for (size_t i = 0; i < headers->count; i++) {
        if (!text_equal_ignore_case(headers->items[i].name, "accept-encoding"))
            continue;
        struct bytes rest = headers->items[i].value;
        struct bytes parameters;
        while (http_list_next(&rest, &parameters)) {
            struct bytes name = text_trim(text_take_until(&parameters, ';'));
            int quality = (int)quality_parse(parameters);
            if (text_equal(name, "*"))
                any = quality;
            for (size_t k = 0; k < array_size(codings); k++) {
                if (text_equal_ignore_case(name, codings[k].name))
                    out[k] = quality;
            }
        }
    }
    return any;
}

enum http_coding http_coding_choose(const struct http_headers *headers, unsigned available)
{
    int qualities[array_size(codings)];
    int any = qualities_read(headers, qualities);
    enum http_coding best = HTTP_CODING_IDENTITY;
    int best_quality = 0;
    for (size_t k = 0; k < array_size(codings); k++) {
        int quality = qualities[k] >= 0 ? qualities[k] : max_of(any, 0);
        // identity that is not mentioned is acceptable, but less than anything that is
        if (codings[k].coding == HTTP_CODING_IDENTITY && qualities[k] < 0 && any < 0)
            quality = max_of(quality, 1);
        if ((available & codings[k].coding) && quality > best_quality) {
            best = codings[k].coding;
            best_quality = quality;
        }
    }
    return best;
}

const char *http_coding_name(enum http_coding coding)
{
    return coding == HTTP_CODING_BROTLI ? "br" : coding == HTTP_CODING_GZIP ? "gzip" : "";
}
