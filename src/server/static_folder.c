// Files of a folder: the user's own site, web/ while developing, ACME challenges.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/http/http_target.h"
#include "runtime/file_part.h"
#include "runtime/files.h"
#include "server/static_answer.h"
#include "server/static_files.h"

#define PATH_SIZE_MAX 1024

struct static_folder {
    int root_fd;
};

int static_folder_open(const char *path, struct static_folder **ret_folder)
{
    int fd = file_open_root(path);
    if (fd < 0)
        return fd;
    struct static_folder *folder = memory_new(struct static_folder);
    folder->root_fd = fd;
    *ret_folder = folder;
    return 0;
}

void static_folder_close(struct static_folder *folder)
{
    if (!folder)
        return;
    file_part_close(folder->root_fd);
    free(folder);
}

struct file_source {
    int fd;
    uint64_t at;
};

static long file_source_read(void *source, uint8_t *out, size_t capacity)
{
    struct file_source *file = source;
    long count = file_part_read(file->fd, file->at, out, capacity);
    if (count > 0)
        file->at += (uint64_t)count;
    return count == -EAGAIN ? -EIO : count;
}

static void file_source_done(void *source)
{
    struct file_source *file = source;
    file_part_close(file->fd);
    free(file);
}

/** Hidden files are nobody's business, but for what RFC 8615 puts under one name. */
static bool is_hidden(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '.' && strncmp(at, ".well-known/", 12) != 0)
            return true;
    }
    return false;
}

/** The relative name of a normalised path; -ENOENT for what no file can be called. */
static int name_decode(struct bytes path, char out[PATH_SIZE_MAX])
{
    // a slash that was escaped is part of a name, and names have none
    if (path.size == 0 || memmem(path.data, path.size, "%2F", 3))
        return -ENOENT;
    if (path.data[0] == '/')
        path = bytes_of(path.data + 1, path.size - 1);
    int size = http_segment_decode(path, out, PATH_SIZE_MAX - 16);
    if (size < 0 || is_hidden(out))
        return -ENOENT;
    if (size == 0 || out[size - 1] == '/')
        strcpy(out + size, "index.html");
    return 0;
}

/** Opens the best form of the file that the client accepts. */
static int form_open(const struct static_folder *folder, const struct http_exchange *exchange,
                     const char *name, struct static_content *content)
{
    const struct http_headers *headers = &http_exchange_request(exchange)->headers;
    static const struct {
        enum http_coding coding;
        const char *suffix;
    } forms[] = { { HTTP_CODING_BROTLI, ".br" }, { HTTP_CODING_GZIP, ".gz" } };
    content->coding = HTTP_CODING_IDENTITY;
    int fd = file_open_beneath(folder->root_fd, name);
    bool whole = !http_headers_find(headers, "range").data;
    for (size_t i = 0; fd >= 0 && i < array_size(forms); i++) {
        char sibling[PATH_SIZE_MAX + 4];
        snprintf(sibling, sizeof(sibling), "%s%s", name, forms[i].suffix);
        int packed = file_open_beneath(folder->root_fd, sibling);
        if (packed < 0)
            continue;
        content->varies = true;
        unsigned available = HTTP_CODING_IDENTITY | forms[i].coding;
        if (whole && content->coding == HTTP_CODING_IDENTITY &&
            http_coding_choose(headers, available) == forms[i].coding) {
            file_part_close(fd);
            fd = packed;
            content->coding = forms[i].coding;
        } else {
            file_part_close(packed);
        }
    }
    return fd;
}

static void file_respond(struct http_exchange *exchange, int fd, const struct file_facts *facts,
                         struct static_content *content)
{
    char etag[STATIC_ETAG_SIZE - 8];
    snprintf(etag, sizeof(etag), "\"%llx-%llx\"", (unsigned long long)facts->modified_unix_us,
             (unsigned long long)facts->size);
    content->etag = etag;
    content->modified_unix_s = (int64_t)(facts->modified_unix_us / 1000000u);
    content->size = facts->size;
    unsigned status;
    uint64_t offset, size;
    if (!static_answer_prepare(exchange, content, &status, &offset, &size)) {
        file_part_close(fd);
        return;
    }
    static const struct http_source_ops ops = { file_source_read, file_source_done };
    struct file_source *source = memory_new(struct file_source);
    *source = (struct file_source){ .fd = fd, .at = offset };
    http_exchange_stream(exchange, status, content->type, size, &ops, source);
}

/** A folder without its slash: relative links in its page would be wrong. */
static int folder_redirect(struct http_exchange *exchange, struct bytes path)
{
    char location[PATH_SIZE_MAX * 3 + 2];
    struct text_builder text = text_builder_of(location, sizeof(location));
    struct bytes rest = bytes_of(path.data + 1, path.size - 1);
    while (rest.data) {
        char name[PATH_SIZE_MAX];
        struct bytes segment = text_take_until(&rest, '/');
        int size = http_segment_decode(segment, name, sizeof(name));
        if (size < 0)
            return -ENOENT;
        text_append(&text, "/");
        http_percent_encode(&text, bytes_of(name, (size_t)size));
    }
    text_append(&text, "/");
    if (text.truncated)
        return -ENOENT;
    http_exchange_redirect(exchange, 308, location);
    return 0;
}

int static_folder_respond(struct static_folder *folder, struct http_exchange *exchange,
                          struct bytes path)
{
    char name[PATH_SIZE_MAX];
    if (name_decode(path, name) != 0)
        return -ENOENT;
    struct static_content content = { .type = static_type_for(bytes_of_text(name)) };
    int fd = form_open(folder, exchange, name, &content);
    if (fd == -EISDIR && path.data[0] == '/' && path.data[path.size - 1] != '/')
        return folder_redirect(exchange, path);
    if (fd < 0)
        return -ENOENT;
    struct file_facts facts;
    if (file_part_facts(fd, &facts) != 0) {
        file_part_close(fd);
        return -ENOENT;
    }
    file_respond(exchange, fd, &facts, &content);
    return 0;
}
