/** The inside of the engine, private to this folder. */
#pragma once

#include "proto/dtls/dtls.h"
#include "proto/dtls/flight_int.h"
#include "proto/dtls/packet_queue_int.h"
#include "proto/dtls/record_int.h"

/**
 * First wait for an answer, doubled up to the last one. RFC 6347, 4.2.4.1 advises a second, for
 * paths that nobody knows; ICE has just measured ours, and a call waits for this.
 */
#define DTLS_RETRANSMIT_FIRST_US (100 * TIME_US_PER_MS)
#define DTLS_RETRANSMIT_LAST_US  (2 * TIME_US_PER_S)
/** A peer's repeated flight is answered at most this often. */
#define DTLS_REPEAT_GAP_US (40 * TIME_US_PER_MS)
/** How long the last flight is kept for a peer that has lost it. */
#define DTLS_LAST_FLIGHT_US (60 * TIME_US_PER_S)

// What a stranger can make us take before the handshake is done.
#define DTLS_HANDSHAKE_BYTES_MAX    (128u << 10)
#define DTLS_MESSAGE_SIZE_MAX       (16u << 10)
#define DTLS_ENCRYPTED_RECORDS_MAX  8 // each ties up a whole buffer of OpenSSL until its turn
#define DTLS_HANDSHAKE_SEQUENCE_MAX 32

enum dtls_state {
    DTLS_STATE_HANDSHAKE,
    DTLS_STATE_CONNECTED,
    DTLS_STATE_CLOSED,
    DTLS_STATE_FAILED,
};

struct dtls {
    enum dtls_state state;
    bool client;
    bool srtp_required;
    bool first_is_numbered; // the first record's number is that of our first, too
    uint16_t mtu;
    const struct cipher_provider *provider;
    metric_value *metrics;

    struct dtls_handshake *handshake; // until it is done
    bool flight_is_new;               // the next datagram of OpenSSL begins a flight
    bool flight_too_large;
    struct flight flight;
    uint64_t sent_us; // last time the flight went out
    uint64_t wait_us;
    uint64_t wait_first_us;
    uint64_t retransmit_us;
    uint64_t give_up_us;
    uint64_t forget_us; // when the last flight is freed
    uint32_t taken_bytes;
    uint32_t taken_encrypted;
    bool heard_change;          // a ChangeCipherSpec has come
    uint16_t heard_sequence;    // one above the highest handshake message seen
    uint16_t answered_sequence; // the same when our flight was made: below is repetition

    struct record_layer records;
    struct packet_queue outgoing; // sealed records
    struct packet_queue data;     // application data received
    bool data_shown;              // dtls_data has returned the first packet

    struct dtls_srtp_keys keys; // until the event is taken
    bool connected_event;
    bool ended_event;
    bool owes_goodbye; // the peer has sent close_notify, we have not
    const char *reason;
    char reason_text[DTLS_HANDSHAKE_ERROR_SIZE];
    uint32_t fingerprint_count;
    struct dtls_fingerprint *fingerprints; // during the handshake
};

static inline void dtls_count(struct dtls *dtls, enum dtls_metric metric)
{
    if (dtls->metrics)
        metric_add(&dtls->metrics[metric], 1);
}

static inline int dtls_drop(struct dtls *dtls, enum dtls_metric why, int error)
{
    dtls_count(dtls, why);
    return error;
}

/** Handles a record in any state: 0, or why it was dropped. */
must_check int dtls_take_record(struct dtls *dtls, uint64_t now_us, const struct record *record);
/** Handles a record after the handshake. */
must_check int dtls_connected_record(struct dtls *dtls, uint64_t now_us,
                                     const struct record *record);
/** Sends the flight again, unless that was done a moment ago. */
void dtls_repeat_flight(struct dtls *dtls, uint64_t now_us);
/** Frees what only the handshake needs. */
void dtls_handshake_release(struct dtls *dtls);
/** Ends the handshake with a sentence (copied). */
void dtls_fail(struct dtls *dtls, const char *reason);
