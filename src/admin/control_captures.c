// The control API: captures of a member's packets into pcap files, written by a job thread.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/control_api_int.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/file_part.h"
#include "runtime/files.h"
#include "runtime/loop.h"
#include "server/media_capture.h"
#include "server/pcap.h"

#define FOLDER        "captures"
#define CAPTURES_MAX  8
#define BYTES_DEFAULT (16ull << 20)
#define BYTES_MIN     4096
#define BYTES_MAX     (1ull << 30)
#define SECONDS_MAX   3600
#define FORBIDDEN                                                                                  \
    "Captures with media in the clear are not allowed here (captures.decrypted = false)."
/** Pieces of one capture that wait for the disk, 64 KiB each. */
#define PIECES_MAX 64

struct piece {
    struct list node;
    uint8_t *data;
    size_t size;
};

struct capture {
    struct list node;
    struct control_api *api;
    struct job job;
    char id[ROOM_ID_SIZE];
    char room[ROOM_NAME_SIZE];
    char member[ROOM_ID_SIZE];
    char path[4096];
    uint64_t number;
    handle session;
    int fd; /**< -1: closed */
    struct list pieces;
    size_t piece_count;
    struct piece *writing; /**< with the job */
    bool running;
    bool decrypted;
    bool deleted; /**< to be freed when the job is back */
    int error;    /**< of the disk, by the job */
    uint64_t bytes;
    uint64_t packets;
    uint64_t missed;
};

/** ---- writing ---- */

static void write_piece(struct job *job)
{
    struct capture *capture = container_of(job, struct capture, job);
    const uint8_t *at = capture->writing->data;
    size_t left = capture->writing->size;
    while (left > 0) {
        ssize_t count = write(capture->fd, at, left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            capture->error = count < 0 ? -errno : -EIO;
            return;
        }
        at += count;
        left -= (size_t)count;
    }
}

static void piece_free(struct piece *piece)
{
    free(piece->data);
    free(piece);
}

static void capture_free(struct capture *capture)
{
    struct piece *piece;
    list_each(piece, &capture->pieces, node)
    {
        list_remove(&piece->node);
        piece_free(piece);
    }
    if (capture->fd >= 0)
        file_part_close(capture->fd);
    list_remove(&capture->node);
    capture->api->captures.count--;
    free(capture);
}

static void write_next(struct capture *capture);

static void piece_written(struct job *job)
{
    struct capture *capture = container_of(job, struct capture, job);
    capture->bytes += capture->error ? 0 : capture->writing->size;
    piece_free(capture->writing);
    capture->writing = NULL;
    if (capture->error)
        log_warning(capture->api->config.log, "a capture cannot be written",
                    log_text("problem", strerror(-capture->error)));
    if (capture->deleted)
        capture_free(capture);
    else
        write_next(capture);
}

static void write_next(struct capture *capture)
{
    if (capture->writing || list_empty(&capture->pieces) || capture->error)
        return;
    struct piece *piece = container_of(capture->pieces.next, struct piece, node);
    list_remove(&piece->node);
    capture->piece_count--;
    capture->writing = piece;
    capture->job.work = write_piece;
    capture->job.done = piece_written;
    if (job_submit(&capture->api->captures.inbox, &capture->job) == 0)
        return;
    // a job of each capture at most: the pool has room for all
    capture->writing = NULL;
    piece_free(piece);
}

static void queue(struct capture *capture, uint8_t *data, size_t size)
{
    struct piece *piece = memory_new(struct piece);
    *piece = (struct piece){ .data = data, .size = size };
    list_append(&capture->pieces, &piece->node);
    capture->piece_count++;
    write_next(capture);
}

static void stop(struct capture *capture)
{
    if (capture->running)
        media_capture_stop(capture->api->config.media, capture->session);
}

/** A reload may forbid what was begun while it was allowed. */
static bool is_forbidden(const struct capture *capture)
{
    return capture->decrypted && !capture->api->config.options->captures.decrypted;
}

static void captured(void *owner, struct media_captured *news)
{
    struct control_api *api = owner;
    struct capture *capture;
    list_each(capture, &api->captures.items, node)
    {
        if (capture->number != news->number || capture->deleted)
            continue;
        bool forbidden = is_forbidden(capture);
        bool takes = capture->piece_count < PIECES_MAX && !capture->error && !forbidden;
        uint32_t missed = news->missed + (takes ? 0 : news->packets);
        capture->missed += missed;
        metric_add(&api->metrics[CONTROL_API_CAPTURE_MISSED], missed);
        capture->running = capture->running && !news->ended;
        if (forbidden)
            stop(capture);
        if (takes && news->data) {
            capture->packets += news->packets;
            queue(capture, news->data, news->size);
            news->data = NULL;
        }
        return;
    }
}

/** ---- requests ---- */

static int prepare(struct control_api *api)
{
    if (api->captures.jobs)
        return 0;
    int result = jobs_start(1, 4 * CAPTURES_MAX, &api->captures.jobs);
    if (result == 0)
        result = job_inbox_init(&api->captures.inbox, api->config.loop, api->captures.jobs);
    if (result == 0)
        media_capture_set_sink(api->config.media, captured, api);
    else
        api->captures.jobs = jobs_stop(api->captures.jobs);
    return result;
}

/** A new file with the header of the format. */
static int open_file(struct capture *capture)
{
    char folder[4000], name[64];
    int result = file_join(folder, sizeof(folder), capture->api->config.data_dir, FOLDER);
    if (result == 0)
        result = file_make_folder(folder, 0700);
    snprintf(name, sizeof(name), "%s.pcap", capture->id);
    if (result == 0)
        result = file_join(capture->path, sizeof(capture->path), folder, name);
    if (result < 0)
        return result;
    capture->fd = open(capture->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (capture->fd < 0)
        return -errno;
    uint8_t *header = memory_allocate(1, PCAP_HEADER_SIZE);
    pcap_write_header(header);
    queue(capture, header, PCAP_HEADER_SIZE);
    return 0;
}

static struct capture *capture_new(struct control_api *api, const struct room_member *member)
{
    struct capture *capture = memory_new(struct capture);
    capture->api = api;
    capture->fd = -1;
    capture->session = member->media;
    list_init(&capture->pieces);
    capture->id[0] = 'c';
    random_identifier(api->config.rooms->config.random, capture->id + 1, ROOM_ID_SIZE - 2);
    memcpy(capture->room, member->room->name, sizeof(capture->room));
    memcpy(capture->member, member->id, sizeof(capture->member));
    list_append(&api->captures.items, &capture->node);
    api->captures.count++;
    return capture;
}

static json_t *capture_json(const struct capture *capture)
{
    return json_pack("{s:s,s:s,s:s,s:b,s:b,s:I,s:I,s:I}", "id", capture->id, "room", capture->room,
                     "participant", capture->member, "running", (int)capture->running, "decrypted",
                     (int)capture->decrypted, "bytes", (json_int_t)capture->bytes, "packets",
                     (json_int_t)capture->packets, "missed", (json_int_t)capture->missed);
}

static int begin(struct control_api *api, const struct room_member *member,
                 const struct media_capture_limits *limits, struct capture **ret_capture)
{
    int result = prepare(api);
    if (result < 0)
        return result;
    struct capture *capture = capture_new(api, member);
    result = media_capture_start(api->config.media, member->media, limits, &capture->number);
    if (result < 0) {
        capture_free(capture);
        return result;
    }
    capture->running = true;
    capture->decrypted = limits->decrypted;
    result = open_file(capture);
    if (result < 0) {
        media_capture_stop(api->config.media, member->media);
        capture_free(capture);
        return result;
    }
    *ret_capture = capture;
    return 0;
}

/** What people say and show is written into a file: the log has who had it done, and when. */
static void log_begun(const struct capture *capture, struct http_exchange *exchange)
{
    char caller[ROOM_MEMBER_SIZE], address[NET_ADDRESS_TEXT_MAX];
    control_caller(capture->api, exchange, caller);
    net_address_format_ip(http_exchange_remote(exchange), address);
    if (capture->decrypted)
        log_warning(capture->api->config.log, "packets are captured with media in the clear",
                    log_text("capture", capture->id), log_text("room", capture->room),
                    log_text("participant", capture->member), log_text("by", caller),
                    log_text("address", address));
    else
        log_info(capture->api->config.log, "packets are captured", log_text("capture", capture->id),
                 log_text("room", capture->room), log_text("participant", capture->member),
                 log_text("by", caller), log_text("address", address));
}

void control_capture_start(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    const struct room_member *member = control_member(api, exchange);
    json_t *body = member ? control_body(exchange) : NULL;
    if (!body)
        return;
    uint64_t bytes = BYTES_DEFAULT, seconds = 60;
    bool decrypted = false;
    const struct control_field fields[] = {
        { "max_bytes", CONTROL_NUMBER, BYTES_MAX, false, &bytes, NULL },
        { "max_s", CONTROL_NUMBER, SECONDS_MAX, false, &seconds, NULL },
        { "decrypted", CONTROL_FLAG, 0, false, &decrypted, NULL },
    };
    bool good = control_fields(exchange, body, fields, array_size(fields));
    json_decref(body);
    if (!good)
        return;
    if (bytes < BYTES_MIN || seconds == 0) {
        http_exchange_fail(exchange, 400, "max_bytes is 4096 at least, max_s is 1.");
        return;
    }
    if (decrypted && !api->config.options->captures.decrypted) {
        http_exchange_fail(exchange, 403, FORBIDDEN);
        return;
    }
    if (api->captures.count >= CAPTURES_MAX) {
        http_exchange_fail(exchange, 409, "There are eight captures: delete one first.");
        return;
    }
    struct media_capture_limits limits = { .bytes_max = bytes - PCAP_HEADER_SIZE,
                                           .duration_us = seconds * TIME_US_PER_S,
                                           .decrypted = decrypted };
    struct capture *capture;
    int result = begin(api, member, &limits, &capture);
    if (result == -ENOENT || result == -ENOTCONN) {
        http_exchange_fail(exchange, 409, "The participant has no media connection.");
    } else if (result < 0) {
        log_warning(api->config.log, "a capture cannot be begun",
                    log_text("problem", strerror(-result)));
        http_exchange_fail(exchange, 500, "The file cannot be written.");
    } else {
        metric_add(&api->metrics[CONTROL_API_CAPTURES], 1);
        log_begun(capture, exchange);
        control_respond(exchange, 201, capture_json(capture));
    }
}

void control_captures_list(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    if (!control_admit(api, exchange))
        return;
    json_t *array = json_array();
    const struct capture *capture;
    list_each(capture, &api->captures.items, node)
    {
        if (!capture->deleted)
            json_array_append_new(array, capture_json(capture));
    }
    control_respond(exchange, 200, json_pack("{s:o}", "captures", array));
}

/** The capture of the path, or NULL with the request answered. */
static struct capture *find(struct control_api *api, struct http_exchange *exchange)
{
    if (!control_admit(api, exchange))
        return NULL;
    struct capture *capture;
    list_each(capture, &api->captures.items, node)
    {
        if (!capture->deleted &&
            strcmp(capture->id, http_exchange_parameter(exchange, "capture")) == 0)
            return capture;
    }
    http_exchange_fail(exchange, 404, "There is no such capture.");
    return NULL;
}

void control_capture_get(struct http_exchange *exchange, void *owner)
{
    const struct capture *capture = find(owner, exchange);
    if (capture)
        control_respond(exchange, 200, capture_json(capture));
}

void control_capture_stop(struct http_exchange *exchange, void *owner)
{
    struct capture *capture = find(owner, exchange);
    if (!capture)
        return;
    stop(capture);
    http_exchange_respond(exchange, 204, NULL, (struct bytes){ 0 });
}

void control_capture_delete(struct http_exchange *exchange, void *owner)
{
    struct capture *capture = find(owner, exchange);
    if (!capture)
        return;
    stop(capture);
    (void)unlink(capture->path);
    capture->deleted = true;
    if (!capture->writing)
        capture_free(capture);
    http_exchange_respond(exchange, 204, NULL, (struct bytes){ 0 });
}

/** ---- download ---- */

struct download {
    int fd;
    uint64_t at;
    uint64_t size;
};

static long download_read(void *source, uint8_t *out, size_t capacity)
{
    struct download *download = source;
    size_t left = (size_t)min_of(download->size - download->at, (uint64_t)capacity);
    long count = left ? file_part_read(download->fd, download->at, out, left) : 0;
    if (count > 0)
        download->at += (uint64_t)count;
    return count;
}

static void download_done(void *source)
{
    struct download *download = source;
    file_part_close(download->fd);
    free(download);
}

void control_capture_download(struct http_exchange *exchange, void *owner)
{
    static const struct http_source_ops ops = { .read = download_read, .done = download_done };
    const struct capture *capture = find(owner, exchange);
    if (!capture)
        return;
    if (is_forbidden(capture)) {
        http_exchange_fail(exchange, 403, FORBIDDEN);
        return;
    }
    int fd = open(capture->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        http_exchange_fail(exchange, 404, "The file is gone.");
        return;
    }
    struct download *download = memory_new(struct download);
    *download = (struct download){ .fd = fd, .size = capture->bytes };
    char disposition[64];
    snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s.pcap\"", capture->id);
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_add_field(exchange, "Content-Disposition", disposition);
    http_exchange_stream(exchange, 200, "application/vnd.tcpdump.pcap", download->size, &ops,
                         download);
}

void control_captures_stop(struct control_api *api)
{
    if (!api->captures.jobs)
        return;
    media_capture_set_sink(api->config.media, NULL, NULL);
    struct capture *capture;
    list_each(capture, &api->captures.items, node) stop(capture);
    job_inbox_done(&api->captures.inbox);
    list_each(capture, &api->captures.items, node) capture_free(capture);
    api->captures.jobs = jobs_stop(api->captures.jobs);
}
