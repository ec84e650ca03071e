#include "server/static_files.h"

#include <string.h>

static const struct {
    const char *extension;
    const char *type;
} types[] = {
    { "html", "text/html; charset=utf-8" },
    { "htm", "text/html; charset=utf-8" },
    { "js", "text/javascript; charset=utf-8" },
    { "mjs", "text/javascript; charset=utf-8" },
    { "css", "text/css; charset=utf-8" },
    { "json", "application/json" },
    { "map", "application/json" },
    { "webmanifest", "application/manifest+json" },
    { "txt", "text/plain; charset=utf-8" },
    { "md", "text/markdown; charset=utf-8" },
    { "xml", "application/xml" },
    { "pdf", "application/pdf" },
    { "svg", "image/svg+xml" },
    { "png", "image/png" },
    { "jpg", "image/jpeg" },
    { "jpeg", "image/jpeg" },
    { "gif", "image/gif" },
    { "webp", "image/webp" },
    { "avif", "image/avif" },
    { "ico", "image/x-icon" },
    { "woff", "font/woff" },
    { "woff2", "font/woff2" },
    { "wasm", "application/wasm" },
    { "mp3", "audio/mpeg" },
    { "ogg", "audio/ogg" },
    { "opus", "audio/ogg" },
    { "wav", "audio/wav" },
    { "mp4", "video/mp4" },
    { "m4s", "video/iso.segment" },
    { "webm", "video/webm" },
    { "m3u8", "application/vnd.apple.mpegurl" },
    { "vtt", "text/vtt; charset=utf-8" },
};

const char *static_type_for(struct bytes name)
{
    struct bytes extension = bytes_of(NULL, 0);
    for (size_t i = name.size; i > 0 && name.data[i - 1] != '/'; i--) {
        if (name.data[i - 1] == '.') {
            extension = bytes_of(name.data + i, name.size - i);
            break;
        }
    }
    for (size_t i = 0; i < array_size(types); i++) {
        if (text_equal_ignore_case(extension, types[i].extension))
            return types[i].type;
    }
    return "application/octet-stream";
}
