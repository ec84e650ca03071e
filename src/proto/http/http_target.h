/** Paths and queries of request targets (RFC 3986). */
#pragma once

#include "base/text.h"

/**
 * Writes the normal form of an absolute path: percent escapes decoded, dot segments removed, empty
 * segments merged. "%2F" and "%25" alone stay escaped (in upper case), so that a slash in the
 * result is always a separator; http_segment_decode undoes them. The result starts with "/", is
 * UTF-8 and holds no control character. Returns 0, -EINVAL (bad escape, NUL, control character, not
 * UTF-8, no leading slash), -EACCES (".." above the root) or -ENAMETOOLONG.
 */
must_check int http_path_normalise(struct bytes path, char *out, size_t capacity, size_t *ret_size);
/**
 * Decodes one segment of a normalised path into `out` with a terminator. Returns the length or
 * -ENAMETOOLONG / -EINVAL.
 */
must_check int http_segment_decode(struct bytes segment, char *out, size_t capacity);
/**
 * Percent-encodes `text` for use as one path segment or query value (RFC 3986 unreserved stays).
 */
void http_percent_encode(struct text_builder *out, struct bytes text);

/**
 * The decoded value of the first parameter `name` ("+" is a space). Returns its length, -ENOENT
 * when absent, -EINVAL for a bad escape, NUL or text that is not UTF-8, -ENAMETOOLONG.
 */
must_check int http_query_find(struct bytes query, const char *name, char *out, size_t capacity);

/** host[:port] taken apart and checked (RFC 3986, 3.2.2). Port 0 when absent. 0 or -EINVAL. */
must_check int http_host_parse(struct bytes text, struct bytes *ret_host, uint16_t *ret_port);
