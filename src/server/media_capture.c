#include "server/media_capture.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/mailbox.h"
#include "server/media_host_int.h"
#include "server/media_message.h"
#include "server/media_worker_int.h"
#include "server/pcap.h"

/** Pieces are shown so often at least. */
#define PIECE_AGE_US (250 * TIME_US_PER_MS)

/** On a worker, of one transport. */
struct media_capture {
    struct list node; /**< in media_worker.captures */
    struct media_transport *transport;
    uint64_t number;
    uint64_t bytes_left;
    uint64_t ends_us;
    bool decrypted;
    uint64_t piece_us; /**< when the piece was begun */
    struct media_captured piece;
};

/** ---- control thread ---- */

void media_capture_set_sink(struct media_host *host,
                            void (*captured)(void *owner, struct media_captured *piece),
                            void *owner)
{
    host->captured = captured;
    host->captured_owner = owner;
}

int media_capture_start(struct media_host *host, handle session,
                        const struct media_capture_limits *limits, uint64_t *ret_number)
{
    const struct host_session *found = handle_table_find(&host->sessions, session);
    if (!found)
        return -ENOENT;
    if (!found->adopted)
        return -ENOTCONN;
    struct media_message_capture message = { .session = session,
                                             .number = ++host->capture_last,
                                             .bytes_max = limits->bytes_max,
                                             .duration_us = limits->duration_us,
                                             .decrypted = limits->decrypted };
    *ret_number = message.number;
    media_host_send(host, found->worker, MEDIA_MESSAGE_CAPTURE, &message, sizeof(message));
    return 0;
}

void media_capture_stop(struct media_host *host, handle session)
{
    const struct host_session *found = handle_table_find(&host->sessions, session);
    if (!found || !found->adopted)
        return;
    struct media_message_capture message = { .session = session };
    media_host_send(host, found->worker, MEDIA_MESSAGE_CAPTURE, &message, sizeof(message));
}

/** ---- on a worker ---- */

/** Gives the piece away; when the control thread is too slow it is lost, and counted. */
static void send_piece(struct media_worker *worker, struct media_capture *capture, bool ended)
{
    struct media_captured *piece = &capture->piece;
    if (!ended && piece->size == 0)
        return;
    piece->number = capture->number;
    piece->ended = ended;
    if (mailbox_send(worker->shared->control, MEDIA_MESSAGE_CAPTURED, piece, sizeof(*piece)) == 0) {
        *piece = (struct media_captured){ 0 };
        return;
    }
    piece->missed += piece->packets;
    piece->packets = 0;
    piece->size = 0;
}

static void end(struct media_worker *worker, struct media_capture *capture)
{
    send_piece(worker, capture, true);
    list_remove(&capture->node);
    capture->transport->capture = NULL;
    free(capture->piece.data); // when nobody took it
    free(capture);
}

void media_capture_end(struct media_worker *worker, struct media_transport *transport)
{
    if (transport->capture)
        end(worker, transport->capture);
}

static void tell_ended(struct media_worker *worker, uint64_t number)
{
    struct media_captured piece = { .number = number, .ended = true };
    (void)!mailbox_send(worker->shared->control, MEDIA_MESSAGE_CAPTURED, &piece, sizeof(piece));
}

void media_capture_take(struct media_worker *worker, const struct media_message_capture *message)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, message->session);
    if (transport)
        media_capture_end(worker, transport);
    if (message->number == 0)
        return;
    if (!transport || !transport->peer) {
        tell_ended(worker, message->number);
        return;
    }
    struct media_capture *capture = memory_new(struct media_capture);
    *capture = (struct media_capture){ .transport = transport,
                                       .number = message->number,
                                       .bytes_left = message->bytes_max,
                                       .ends_us = media_now_us(worker) + message->duration_us,
                                       .decrypted = message->decrypted };
    list_append(&worker->captures, &capture->node);
    transport->capture = capture;
}

/** False when the capture has reached its size. */
static bool add(struct media_worker *worker, struct media_capture *capture,
                const struct net_address *from, const struct net_address *to, struct bytes datagram)
{
    struct media_captured *piece = &capture->piece;
    size_t most = PCAP_RECORD_OVERHEAD + datagram.size;
    if (most > MEDIA_CAPTURE_CHUNK)
        return true; // no datagram of media is so long
    if (most > capture->bytes_left)
        return false;
    if (piece->size + most > MEDIA_CAPTURE_CHUNK)
        send_piece(worker, capture, false);
    if (!piece->data)
        piece->data = memory_allocate(1, MEDIA_CAPTURE_CHUNK);
    uint64_t now_us = media_now_us(worker);
    if (piece->size == 0)
        capture->piece_us = now_us;
    uint64_t unix_us = (uint64_t)((int64_t)now_us + worker->shared->unix_offset_us);
    size_t size = pcap_write_udp(piece->data + piece->size, unix_us, from, to, datagram);
    piece->size += size;
    piece->packets++;
    capture->bytes_left -= size;
    return true;
}

/** Adds what a datagram says where that is wanted and can be known; else the datagram itself. */
static bool add_shown(struct media_worker *worker, struct media_capture *capture,
                      const struct net_path *path, bool sent, struct bytes datagram)
{
    uint8_t plain[DATAGRAM_SIZE_MAX];
    const struct net_address *from = sent ? &path->local : &path->remote;
    const struct net_address *to = sent ? &path->remote : &path->local;
    ssize_t size =
        capture->decrypted && capture->transport->peer
            ? rtc_peer_reveal(capture->transport->peer, sent, datagram, plain, sizeof(plain))
            : -ENOENT;
    return add(worker, capture, from, to, size < 0 ? datagram : bytes_of(plain, (size_t)size));
}

void media_capture_incoming(struct media_worker *worker, struct media_transport *transport,
                            const struct net_path *path, struct bytes datagram)
{
    if (!add_shown(worker, transport->capture, path, false, datagram))
        end(worker, transport->capture);
}

/** The capture whose client has this address. */
static struct media_capture *find(struct media_worker *worker, const struct net_address *remote)
{
    struct media_capture *capture;
    list_each(capture, &worker->captures, node)
    {
        if (media_routes_by_address(&worker->routes, remote) == capture->transport)
            return capture;
    }
    return NULL;
}

void media_capture_outgoing(struct media_worker *worker)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(&worker->batch, &cursor, &path, &data, &size)) {
        struct media_capture *capture = find(worker, &path.remote);
        if (capture && !add_shown(worker, capture, &path, true, bytes_of(data, size)))
            end(worker, capture);
    }
}

void media_capture_tick(struct media_worker *worker, uint64_t now_us)
{
    struct media_capture *capture;
    list_each(capture, &worker->captures, node)
    {
        if (now_us >= capture->ends_us)
            end(worker, capture);
        else if (capture->piece.size > 0 && now_us - capture->piece_us >= PIECE_AGE_US)
            send_piece(worker, capture, false);
    }
}
