// What goes on after the handshake, without OpenSSL.
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "proto/dtls/dtls_int.h"

#define ALERT_WARNING      1
#define ALERT_FATAL        2
#define ALERT_CLOSE_NOTIFY 0

static int drop_unopened(struct dtls *dtls, int error)
{
    switch (error) {
    case -EALREADY:
    case -ESTALE:
        return dtls_drop(dtls, DTLS_METRIC_DROP_REPLAYED, -EALREADY);
    case -EBADMSG:
        return dtls_drop(dtls, DTLS_METRIC_DROP_UNAUTHENTIC, -EBADMSG);
    default:
        return dtls_drop(dtls, DTLS_METRIC_DROP_MALFORMED, -EINVAL);
    }
}

/** RFC 5246, 7.2: level and description. */
static int alert_received(struct dtls *dtls, struct bytes alert)
{
    if (alert.size != 2)
        return dtls_drop(dtls, DTLS_METRIC_DROP_MALFORMED, -EINVAL);
    if (alert.data[0] != ALERT_FATAL && alert.data[1] != ALERT_CLOSE_NOTIFY)
        return 0;
    dtls->reason = alert.data[1] == ALERT_CLOSE_NOTIFY
                       ? "The peer has closed the connection."
                       : "The peer has ended the connection with an alert.";
    dtls->state = DTLS_STATE_CLOSED;
    dtls->owes_goodbye = alert.data[1] == ALERT_CLOSE_NOTIFY;
    dtls->ended_event = true;
    dtls_count(dtls, DTLS_METRIC_CLOSED);
    return 0;
}

static int data_received(struct dtls *dtls, const struct record *record)
{
    // the first packet may be in the caller's hands: see dtls_data
    if (dtls->data_shown) {
        packet_queue_remove(&dtls->data);
        dtls->data_shown = false;
    }
    uint8_t *out = packet_queue_reserve(&dtls->data, record->body.size);
    if (!out)
        return dtls_drop(dtls, DTLS_METRIC_DROP_LIMIT, -ENOBUFS);
    int size = record_open(&dtls->records, record, out);
    if (size < 0)
        return drop_unopened(dtls, size);
    packet_queue_commit(&dtls->data, (size_t)size);
    return 0;
}

int dtls_connected_record(struct dtls *dtls, uint64_t now_us, const struct record *record)
{
    if (record->epoch != 1) {
        // plaintext after the handshake is either the peer's flight again or forged
        if (!dtls->client && record->epoch == 0 && record->type == RECORD_HANDSHAKE)
            dtls_repeat_flight(dtls, now_us);
        return dtls_drop(dtls, DTLS_METRIC_DROP_UNEXPECTED, -EPROTO);
    }
    if (record->type == RECORD_HANDSHAKE) {
        // Finished once more: our last flight was lost (RFC 6347, 4.2.4)
        if (!dtls->client)
            dtls_repeat_flight(dtls, now_us);
        return 0;
    }
    if (record->type == RECORD_APPLICATION_DATA)
        return data_received(dtls, record);
    if (record->type != RECORD_ALERT || record->body.size > 64)
        return dtls_drop(dtls, DTLS_METRIC_DROP_UNEXPECTED, -EPROTO);
    uint8_t alert[64];
    int size = record_open(&dtls->records, record, alert);
    return size < 0 ? drop_unopened(dtls, size)
                    : alert_received(dtls, bytes_of(alert, (size_t)size));
}

static int send_record(struct dtls *dtls, enum record_type type, struct bytes plain)
{
    size_t size = plain.size + RECORD_OVERHEAD;
    uint8_t *out = packet_queue_reserve(&dtls->outgoing, size);
    if (!out)
        return -ENOBUFS;
    int result = record_seal(&dtls->records, type, plain, out);
    if (result == 0)
        packet_queue_commit(&dtls->outgoing, size);
    return result;
}

bool dtls_data(struct dtls *dtls, struct bytes *ret_data)
{
    if (dtls->data_shown)
        packet_queue_remove(&dtls->data);
    dtls->data_shown = !packet_queue_empty(&dtls->data);
    if (!dtls->data_shown)
        return false;
    *ret_data = packet_queue_first(&dtls->data);
    return true;
}

size_t dtls_data_size_max(const struct dtls *dtls)
{
    return dtls->mtu - RECORD_OVERHEAD;
}

int dtls_send(struct dtls *dtls, struct bytes data)
{
    if (dtls->state != DTLS_STATE_CONNECTED)
        return -ENOTCONN;
    if (data.size > dtls_data_size_max(dtls))
        return -EMSGSIZE;
    return send_record(dtls, RECORD_APPLICATION_DATA, data);
}

/** Opens application data in place. Returns 0, or why it was dropped (counted). */
static int open_in_place(struct dtls *dtls, const struct record *record, uint8_t *plain,
                         struct bytes *ret_data)
{
    int size = record_open(&dtls->records, record, plain);
    if (size < 0)
        return drop_unopened(dtls, size);
    *ret_data = bytes_of(plain, (size_t)size);
    return 0;
}

int dtls_open(struct dtls *dtls, uint64_t now_us, uint8_t *datagram, size_t size, size_t *at,
              struct bytes *ret_data)
{
    while (*at < size) {
        uint8_t *plain = datagram + *at + RECORD_HEADER_SIZE + RECORD_NONCE_SIZE;
        struct reader reader = reader_of(datagram + *at, size - *at);
        struct record record;
        if (record_parse(&reader, &record) < 0) {
            dtls_count(dtls, DTLS_METRIC_DROP_MALFORMED);
            *at = size;
            return 0;
        }
        *at += reader.at;
        bool data = dtls->state == DTLS_STATE_CONNECTED && record.epoch == 1 &&
                    record.type == RECORD_APPLICATION_DATA;
        int result = data ? open_in_place(dtls, &record, plain, ret_data)
                          : dtls_take_record(dtls, now_us, &record);
        if (data && result == 0)
            return 1;
    }
    return 0;
}

void dtls_move(struct dtls *dtls, const struct cipher_provider *provider, metric_value *metrics)
{
    ensure(dtls->state == DTLS_STATE_CONNECTED);
    dtls->provider = provider;
    dtls->records.provider = provider;
    dtls->metrics = metrics;
}

_Static_assert(DTLS_RECORD_PREFIX == RECORD_HEADER_SIZE + RECORD_NONCE_SIZE, "place of the data");
_Static_assert(DTLS_RECORD_OVERHEAD == RECORD_OVERHEAD, "size of a record");
_Static_assert(DTLS_RECORD_DATA_MAX == RECORD_PLAIN_MAX, "size of its data");

int dtls_seal(struct dtls *dtls, uint8_t *out, size_t size)
{
    if (dtls->state != DTLS_STATE_CONNECTED)
        return -ENOTCONN;
    if (size > DTLS_RECORD_DATA_MAX)
        return -EMSGSIZE;
    return record_seal(&dtls->records, RECORD_APPLICATION_DATA,
                       bytes_of(out + DTLS_RECORD_PREFIX, size), out);
}

void dtls_close(struct dtls *dtls)
{
    static const uint8_t close_notify[] = { ALERT_WARNING, ALERT_CLOSE_NOTIFY };
    bool says_goodbye = dtls->state == DTLS_STATE_CONNECTED || dtls->owes_goodbye;
    dtls->owes_goodbye = false;
    if (says_goodbye &&
        send_record(dtls, RECORD_ALERT, bytes_of(close_notify, sizeof(close_notify))) < 0)
        dtls_count(dtls, DTLS_METRIC_DROP_LIMIT); // the queue is full: they will notice by ICE
    if (dtls->state != DTLS_STATE_FAILED)
        dtls->state = DTLS_STATE_CLOSED;
    dtls->retransmit_us = TIME_NEVER;
    dtls->give_up_us = TIME_NEVER;
    dtls_handshake_release(dtls);
}
