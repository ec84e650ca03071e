#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sctp/sctp_int.h"

// A packet comes in: whose it is (RFC 9260, 8.5), then one chunk after the other.

/** Whether the verification tag is right for a packet that begins with this chunk. */
static bool tag_is_right(const struct sctp *sctp, uint32_t tag, const struct sctp_chunk *first)
{
    switch (first->type) {
    case SCTP_INIT:
        return tag == 0;
    case SCTP_COOKIE_ECHO:
        return sctp->pending.valid && tag == sctp->pending.local_tag;
    case SCTP_ABORT:
    case SCTP_SHUTDOWN_COMPLETE:
        if (first->flags & SCTP_FLAG_T)
            return sctp->peer_tag != 0 && tag == sctp->peer_tag;
        break;
    default:
        break;
    }
    return sctp->local_tag != 0 && tag == sctp->local_tag;
}

static void take_heartbeat(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    // not before: the answer and the cookie that is owed until then do not fit into one packet
    if (sctp->state < SCTP_STATE_ESTABLISHED || chunk->value.size > SCTP_HEARTBEAT_MAX) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    free(sctp->heartbeat_info);
    sctp->heartbeat_info = memory_copy(chunk->value.data, chunk->value.size);
    sctp->heartbeat_size = (uint16_t)chunk->value.size;
    sctp->owed.heartbeat_ack = true;
}

static void take_heartbeat_ack(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_parameter info;
    if (!sctp->heartbeat_waits || !sctp_parameter_next(&reader, &info) || info.value.size != 8 ||
        load_u64(info.value.data) != sctp->heartbeat_sent_us) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    sctp->heartbeat_waits = false;
    sctp->heartbeat_us = now_us + SCTP_HEARTBEAT_US;
    sctp->timeouts = 0;
    sctp_congestion_measured(&sctp->congestion, now_us - sctp->heartbeat_sent_us);
}

static void take_error(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    struct reader reader = reader_of(chunk->value.data, chunk->value.size);
    struct sctp_parameter cause;
    while (sctp_parameter_next(&reader, &cause))
        if (cause.type == SCTP_CAUSE_STALE_COOKIE)
            sctp_take_stale_cookie(sctp);
}

static void take_abort(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    sctp_count(sctp, SCTP_METRIC_ABORTED_BY_PEER, 1);
    sctp_end(sctp, sctp_cause_text(chunk->value));
}

/** RFC 9260, 3.2: the type says what to do. Returns whether the packet is read on. */
static bool take_unknown(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
    if (sctp_unknown_is_reported(chunk->type) && sctp->state >= SCTP_STATE_COOKIE_ECHOED) {
        size_t kept = min_of(chunk->value.size, sizeof(sctp->error) - SCTP_CHUNK_HEADER_SIZE);
        sctp->owed.error = true;
        sctp->error_cause = SCTP_CAUSE_UNRECOGNIZED_CHUNK;
        sctp->error_size = (uint16_t)(SCTP_CHUNK_HEADER_SIZE + kept);
        sctp->error[0] = chunk->type;
        sctp->error[1] = chunk->flags;
        store_u16(sctp->error + 2, (uint16_t)(SCTP_CHUNK_HEADER_SIZE + chunk->value.size));
        if (kept > 0)
            memcpy(sctp->error + SCTP_CHUNK_HEADER_SIZE, chunk->value.data, kept);
    }
    return !sctp_unknown_stops(chunk->type);
}

static bool take_chunk(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    switch (chunk->type) {
    case SCTP_DATA:
    case SCTP_I_DATA:
        sctp_take_data(sctp, chunk);
        return true;
    case SCTP_SACK:
        sctp_take_sack(sctp, now_us, chunk);
        return true;
    case SCTP_FORWARD_TSN:
    case SCTP_I_FORWARD_TSN:
        sctp_take_forward(sctp, chunk);
        return true;
    case SCTP_RECONFIG:
        sctp_take_reconfig(sctp, now_us, chunk);
        return true;
    case SCTP_INIT:
        sctp_take_init(sctp, chunk);
        return false; // alone in its packet
    case SCTP_INIT_ACK:
        sctp_take_init_ack(sctp, chunk);
        return false;
    case SCTP_COOKIE_ECHO:
        sctp_take_cookie_echo(sctp, now_us, chunk);
        return true;
    case SCTP_COOKIE_ACK:
        sctp_take_cookie_ack(sctp, now_us);
        return true;
    case SCTP_HEARTBEAT:
        take_heartbeat(sctp, chunk);
        return true;
    case SCTP_HEARTBEAT_ACK:
        take_heartbeat_ack(sctp, now_us, chunk);
        return true;
    case SCTP_ABORT:
        take_abort(sctp, chunk);
        return false;
    case SCTP_ERROR:
        take_error(sctp, chunk);
        return true;
    case SCTP_SHUTDOWN:
        sctp_take_shutdown(sctp, now_us, chunk);
        return true;
    case SCTP_SHUTDOWN_ACK:
        sctp_take_shutdown_ack(sctp);
        return false;
    case SCTP_SHUTDOWN_COMPLETE:
        sctp_take_shutdown_complete(sctp);
        return false;
    default:
        return take_unknown(sctp, chunk);
    }
}

/**
 * Chunks that make us look through much that we keep come once in a packet: more of them would be
 * work for nothing. Returns the chunk's bit, 0 for those that may be repeated.
 */
static uint32_t once_per_packet(uint8_t type)
{
    switch (type) {
    case SCTP_SACK:
        return 1;
    case SCTP_FORWARD_TSN:
    case SCTP_I_FORWARD_TSN:
        return 2;
    case SCTP_RECONFIG:
        return 4;
    default:
        return 0;
    }
}

int sctp_input(struct sctp *sctp, uint64_t now_us, struct bytes packet)
{
    struct sctp_header header;
    struct reader chunks;
    struct sctp_chunk chunk;
    if (sctp->state == SCTP_STATE_ENDED)
        return sctp_drop(sctp, SCTP_METRIC_DROP_ENDED, -EPIPE);
    int error = sctp_packet_parse(packet, sctp->config.features.zero_checksum, &header, &chunks);
    if (error == -EBADMSG)
        return sctp_drop(sctp, SCTP_METRIC_DROP_CHECKSUM, error);
    if (error || !sctp_chunk_next(&chunks, &chunk))
        return sctp_drop(sctp, SCTP_METRIC_DROP_MALFORMED, -EINVAL);
    if (header.source_port != sctp->config.remote_port ||
        header.destination_port != sctp->config.local_port ||
        !tag_is_right(sctp, header.verification_tag, &chunk))
        return sctp_drop(sctp, SCTP_METRIC_DROP_TAG, -EACCES);
    sctp_count(sctp, SCTP_METRIC_PACKETS_RECEIVED, 1);
    if (sctp_packet_without_checksum(packet))
        sctp_count(sctp, SCTP_METRIC_PACKETS_UNCHECKED, 1);
    uint32_t seen = 0;
    do {
        uint32_t once = once_per_packet(chunk.type);
        if (seen & once) {
            sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
            continue;
        }
        seen |= once;
        if (!take_chunk(sctp, now_us, &chunk) || sctp->state == SCTP_STATE_ENDED)
            break;
    } while (sctp_chunk_next(&chunks, &chunk));
    if (chunks.failed)
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
    sctp_schedule_sack(sctp, now_us);
    return 0;
}
