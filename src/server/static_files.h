/**
 * Answers GET and HEAD from embedded assets (made from web/ at build time, precompressed) or from a
 * folder, with ETag, Last-Modified, ranges, conditional requests and content coding.
 */
#pragma once

#include "server/http_server.h"

/** One file of web/, as tools/embed.py writes it. Sorted by path. */
struct static_asset {
    const char *path; /**< beneath web/: "app/index.html" */
    const char *type; /**< "text/html; charset=utf-8" */
    const char *etag; /**< of the identity form: `"` + 32 hex digits of its SHA-256 + `"` */
    struct bytes identity;
    struct bytes gzip;   /**< empty when not smaller */
    struct bytes brotli; /**< empty when not smaller */
};

struct static_assets {
    const struct static_asset *items;
    size_t count;
};

/** What the build embedded. */
extern const struct static_assets static_assets_embedded;

const struct static_asset *static_assets_find(const struct static_assets *assets, const char *path);
/** Answers with an asset: 200, 206, 304, 412 or 416. */
void static_asset_respond(struct http_exchange *exchange, const struct static_asset *asset);

struct static_folder;

/** A folder whose files may be served; nothing above it is reachable. 0 or a negative errno. */
must_check int static_folder_open(const char *path, struct static_folder **ret_folder);
void static_folder_close(struct static_folder *folder);
/**
 * Answers with the file at the normalised path `path` beneath the folder ("/" and folders mean
 * their index.html; names that start with "." are not served). A `.br` or `.gz` sibling is used
 * when accepted. Returns 0 when answered, -ENOENT when there is no such file (not answered).
 */
must_check int static_folder_respond(struct static_folder *folder, struct http_exchange *exchange,
                                     struct bytes path);
/** The media type for a file name; application/octet-stream when unknown. */
const char *static_type_for(struct bytes name);
