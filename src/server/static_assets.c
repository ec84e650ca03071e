// Files that are part of the program.
#include <string.h>

#include "server/static_answer.h"
#include "server/static_files.h"

const struct static_asset *static_assets_find(const struct static_assets *assets, const char *path)
{
    size_t low = 0, high = assets->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(path, assets->items[middle].path);
        if (order == 0)
            return &assets->items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/** "?v=" and the beginning of the file's hash names this very content for ever. */
static bool names_version(const struct http_exchange *exchange, const char *etag)
{
    char version[40];
    int size = http_exchange_query(exchange, "v", version, sizeof(version));
    return size >= 8 && strncmp(version, etag + 1, (size_t)size) == 0;
}

static struct bytes form_choose(const struct http_exchange *exchange,
                                const struct static_asset *asset, enum http_coding *ret_coding)
{
    const struct http_headers *headers = &http_exchange_request(exchange)->headers;
    unsigned available = HTTP_CODING_IDENTITY;
    if (!http_headers_find(headers, "range").data) { // parts of a coding are of no use to anyone
        available |= asset->gzip.size > 0 ? HTTP_CODING_GZIP : 0u;
        available |= asset->brotli.size > 0 ? HTTP_CODING_BROTLI : 0u;
    }
    *ret_coding = http_coding_choose(headers, available);
    return *ret_coding == HTTP_CODING_BROTLI ? asset->brotli
           : *ret_coding == HTTP_CODING_GZIP ? asset->gzip
                                             : asset->identity;
}

void static_asset_respond(struct http_exchange *exchange, const struct static_asset *asset)
{
    struct static_content content = { .type = asset->type,
                                      .etag = asset->etag,
                                      .varies = asset->gzip.size > 0 || asset->brotli.size > 0,
                                      .immutable = names_version(exchange, asset->etag) };
    struct bytes form = form_choose(exchange, asset, &content.coding);
    content.size = form.size;
    unsigned status;
    uint64_t offset, size;
    if (static_answer_prepare(exchange, &content, &status, &offset, &size))
        http_exchange_respond_static(exchange, status, asset->type,
                                     bytes_of(form.data + offset, (size_t)size));
}
