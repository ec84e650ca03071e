#include "proto/sctp/sctp_int.h"

// Packets go out: what is owed first, then data as far as the windows allow.

/** Payload of a chunk that fills a packet of its own. */
static uint32_t payload_max(const struct sctp *sctp)
{
    return sctp->config.packet_size - SCTP_HEADER_SIZE -
           (uint32_t)sctp_data_header_size(sctp->features.interleaving);
}

// Whether

/** Whether `size` new bytes fit into both windows. One chunk may always be under way. */
static bool window_allows(const struct sctp *sctp, uint32_t size)
{
    uint32_t flying = sctp->flight.flying;
    return flying == 0 || (flying < sctp->congestion.window && flying + size <= sctp->peer_window);
}

/** Bytes that the next chunk of the message has in a packet with this much room; 0: none. */
static uint32_t chunk_size(const struct sctp *sctp, const struct sctp_outgoing *message,
                           size_t room)
{
    uint32_t header = (uint32_t)sctp_data_header_size(sctp->features.interleaving);
    uint32_t left = message->size - message->sent;
    uint32_t fits = room > header ? (uint32_t)(room - header) & ~3u : 0;
    // parts are as long as they can be, and packets of them equally long
    if (left > fits && fits < payload_max(sctp))
        return 0;
    return min_of(left, fits);
}

static bool data_ready(const struct sctp *sctp)
{
    if (!sctp_sends(sctp))
        return false;
    if (sctp->flight.lost_count > 0)
        return sctp->flight.flying == 0 || sctp->flight.flying < sctp->congestion.window;
    const struct sctp_outgoing *message = sctp_send_queue_next(&sctp->queue);
    return message && window_allows(sctp, min_of(message->size - message->sent, payload_max(sctp)));
}

static bool owes_control(const struct sctp *sctp)
{
    const struct sctp_owed *owed = &sctp->owed;
    return owed->init || owed->init_ack || owed->cookie_echo || owed->cookie_ack || owed->sack ||
           owed->forward_tsn || owed->heartbeat || owed->heartbeat_ack || owed->shutdown ||
           owed->shutdown_ack || owed->shutdown_complete || owed->abort || owed->error;
}

bool sctp_has_output(const struct sctp *sctp)
{
    return owes_control(sctp) || data_ready(sctp) || sctp_resets_ready(sctp);
}

// Control chunks

static void write_empty(struct writer *packet, uint8_t type)
{
    sctp_chunk_end(packet, sctp_chunk_begin(packet, type, 0));
}

static void write_cause(struct writer *packet, uint8_t type, uint16_t cause, struct bytes value)
{
    size_t at = sctp_chunk_begin(packet, type, 0);
    size_t parameter = sctp_parameter_begin(packet, cause);
    writer_bytes(packet, value.data, value.size);
    sctp_parameter_end(packet, parameter);
    sctp_chunk_end(packet, at);
}

static void write_cookie_echo(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    size_t at = sctp_chunk_begin(packet, SCTP_COOKIE_ECHO, 0);
    writer_bytes(packet, sctp->cookie, sctp->cookie_size);
    sctp_chunk_end(packet, at);
    sctp_control_sent(sctp, now_us);
}

static void write_forward(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    struct sctp_skip skips[SCTP_SKIPS_MAX];
    size_t count;
    if (!sctp_flight_forward(&sctp->flight, &sctp->forward_tsn, skips, &count))
        return; // acknowledged meanwhile
    sctp_forward_write(packet, sctp->features.interleaving, sctp->forward_tsn, skips, count);
    sctp->forward_us = now_us;
    if (sctp->resend_us == TIME_NEVER)
        sctp->resend_us = now_us + sctp->congestion.rto_us;
}

static void write_heartbeats(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    if (sctp->owed.heartbeat_ack) {
        size_t at = sctp_chunk_begin(packet, SCTP_HEARTBEAT_ACK, 0);
        writer_bytes(packet, sctp->heartbeat_info, sctp->heartbeat_size);
        sctp_chunk_end(packet, at);
    }
    if (sctp->owed.heartbeat) {
        uint8_t info[8];
        store_u64(info, now_us);
        write_cause(packet, SCTP_HEARTBEAT, SCTP_PARAMETER_HEARTBEAT_INFO, bytes_of(info, 8));
        sctp->heartbeat_sent_us = now_us;
        sctp->heartbeat_waits = true;
        sctp->heartbeat_us = now_us + SCTP_HEARTBEAT_US;
    }
}

static void write_shutdown(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    if (sctp->owed.shutdown) {
        size_t at = sctp_chunk_begin(packet, SCTP_SHUTDOWN, 0);
        writer_u32(packet, sctp->tracking.cumulative);
        sctp_chunk_end(packet, at);
        sctp_control_sent(sctp, now_us);
    }
    if (sctp->owed.shutdown_ack) {
        write_empty(packet, SCTP_SHUTDOWN_ACK);
        sctp_control_sent(sctp, now_us);
    }
}

/** All that is owed, but for what has packets of its own. */
static void write_control(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    struct sctp_owed *owed = &sctp->owed;
    // COOKIE ECHO and COOKIE ACK come first (RFC 9260, 5.1)
    if (owed->cookie_ack)
        write_empty(packet, SCTP_COOKIE_ACK);
    if (owed->cookie_echo)
        write_cookie_echo(sctp, now_us, packet);
    write_heartbeats(sctp, now_us, packet);
    if (owed->error)
        write_cause(packet, SCTP_ERROR, sctp->error_cause, bytes_of(sctp->error, sctp->error_size));
    if (sctp_resets_ready(sctp))
        sctp_write_reconfig(sctp, now_us, packet);
    write_shutdown(sctp, now_us, packet);
    if (owed->forward_tsn)
        write_forward(sctp, now_us, packet);
    // a SACK that is due soon goes along with data
    if (owed->sack || (sctp->sack_us != TIME_NEVER && data_ready(sctp))) {
        sctp->window_told = sctp_window(sctp);
        sctp_tracking_write(&sctp->tracking, sctp->window_told, packet);
        sctp->sack_us = TIME_NEVER;
    }
    *owed = (struct sctp_owed){ 0 };
}

// Data

static void write_data(const struct sctp *sctp, uint32_t index, struct writer *packet)
{
    const struct sctp_sent *sent = sctp_flight_at(&sctp->flight, index);
    const struct sctp_outgoing *message = sent->message;
    struct sctp_data data = {
        .interleaved = sctp->features.interleaving,
        .immediate = sent->times > 1, // time was lost already
        .unordered = message->unordered,
        .begin = sent->fragment == 0,
        .end = sent->offset + sent->size == message->size,
        .stream = message->stream->id,
        .tsn = sctp->flight.first_tsn + index,
        .message = message->number,
        .fragment = sent->fragment,
        .ppid = message->ppid,
        .payload = bytes_of(blob_bytes(message->content).data + sent->offset, sent->size),
    };
    sctp_data_write(packet, &data);
}

static bool is_expired(const struct sctp_outgoing *message, uint64_t now_us)
{
    return now_us >= message->expires_us;
}

/** Gives up what is too old before anything of the packet is written. */
static void drop_expired(struct sctp *sctp, uint64_t now_us)
{
    struct sctp_outgoing *message;
    uint32_t index;
    if (!sctp_sends(sctp))
        return;
    while ((message = sctp_send_queue_next(&sctp->queue)) && is_expired(message, now_us))
        sctp_flight_abandon(&sctp->flight, message);
    sctp_flight_next_lost(&sctp->flight, now_us, &index);
    if (sctp->flight.abandoned_count == 0)
        return;
    sctp_count(sctp, SCTP_METRIC_ABANDONED, sctp->flight.abandoned_count);
    sctp->flight.abandoned_count = 0;
    sctp->owed.forward_tsn = sctp->flight.count > 0;
    sctp_shutdown_advance(sctp);
}

/** Writes one chunk; false when there is none that may go or fits. */
static bool write_chunk(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    size_t room = packet->capacity - packet->size;
    uint32_t index;
    if (!data_ready(sctp))
        return false;
    if (sctp_flight_next_lost(&sctp->flight, now_us, &index)) {
        size_t header = sctp_data_header_size(sctp->features.interleaving);
        if (header + SCTP_PADDED(sctp_flight_at(&sctp->flight, index)->size) > room)
            return false;
        sctp_flight_resend(&sctp->flight, now_us, index);
        sctp_count(sctp, SCTP_METRIC_RETRANSMITTED, 1);
    } else {
        struct sctp_outgoing *message = sctp_send_queue_next(&sctp->queue);
        uint32_t size =
            message && !is_expired(message, now_us) ? chunk_size(sctp, message, room) : 0;
        if (size == 0 || !window_allows(sctp, size))
            return false;
        index = sctp_flight_send(&sctp->flight, now_us, message, (uint16_t)size);
    }
    write_data(sctp, index, packet);
    if (sctp->resend_us == TIME_NEVER)
        sctp->resend_us = now_us + sctp->congestion.rto_us;
    sctp->active_us = now_us;
    return true;
}

static void write_chunks(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    if (sctp->flight.count == 0 && now_us > sctp->active_us + sctp->congestion.rto_us)
        sctp_congestion_idled(&sctp->congestion);
    sctp_flight_begin_packet(&sctp->flight);
    while (write_chunk(sctp, now_us, packet))
        ;
}

// Packets

/** INIT, INIT ACK and what ends the association have a packet, and a tag, of their own. */
static bool write_alone(struct sctp *sctp, uint64_t now_us, struct writer *packet)
{
    struct sctp_owed *owed = &sctp->owed;
    const struct sctp_header header = { sctp->config.local_port, sctp->config.remote_port,
                                        sctp->peer_tag };
    if (owed->init_ack) {
        owed->init_ack = false;
        sctp_write_init_ack(sctp, packet);
    } else if (owed->init) {
        owed->init = false;
        sctp_write_init(sctp, packet);
        sctp_control_sent(sctp, now_us);
    } else if (owed->abort) {
        owed->abort = false;
        sctp_packet_begin(packet, &header);
        write_cause(packet, SCTP_ABORT, (uint16_t)sctp->abort_cause, bytes_of(NULL, 0));
    } else if (owed->shutdown_complete) {
        owed->shutdown_complete = false;
        sctp_packet_begin(packet, &header);
        write_empty(packet, SCTP_SHUTDOWN_COMPLETE);
    }
    return packet->size > 0;
}

size_t sctp_output(struct sctp *sctp, uint64_t now_us, uint8_t *out)
{
    struct writer packet = writer_of(out, sctp->config.packet_size);
    drop_expired(sctp, now_us);
    if (!sctp_has_output(sctp))
        return 0;
    bool checksum = true;
    if (!write_alone(sctp, now_us, &packet)) {
        // RFC 9653, 5.2: a COOKIE ECHO has its checksum in any case
        checksum = !sctp->features.zero_checksum || sctp->owed.cookie_echo;
        sctp_packet_begin(&packet,
                          &(struct sctp_header){ sctp->config.local_port, sctp->config.remote_port,
                                                 sctp->peer_tag });
        write_control(sctp, now_us, &packet);
        write_chunks(sctp, now_us, &packet);
    }
    ensure(!packet.failed);
    if (packet.size <= SCTP_HEADER_SIZE)
        return 0;
    if (checksum)
        sctp_packet_seal(out, packet.size);
    sctp_count(sctp, SCTP_METRIC_PACKETS_SENT, 1);
    return packet.size;
}
