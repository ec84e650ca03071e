#include "proto/dtls/dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/dtls/dtls_int.h"

const struct metric_description dtls_metric_descriptions[DTLS_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "proto/dtls/dtls_metrics.def"
#undef METRIC
};

int dtls_context_new(struct certificate *certificate, struct text_builder *error,
                     struct dtls_context **ret_context)
{
    // the server's order decides; RFC 7714 before RFC 3711
    static const char profiles[] =
        "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";
    return dtls_context_new_with(certificate, profiles, error, ret_context);
}

int dtls_context_new_server(struct certificate *certificate, struct text_builder *error,
                            struct dtls_context **ret_context)
{
    const struct dtls_context_config config = { .certificate = certificate, .any_peer = true };
    return dtls_context_make(&config, error, ret_context);
}

int dtls_context_new_client(struct text_builder *error, struct dtls_context **ret_context)
{
    const struct dtls_context_config config = { .any_peer = true };
    return dtls_context_make(&config, error, ret_context);
}

// What OpenSSL asks of us.

static void take_flight_datagram(void *owner, struct bytes datagram)
{
    struct dtls *dtls = owner;
    if (dtls->flight_is_new) {
        dtls->flight_is_new = false;
        flight_clear(&dtls->flight);
    }
    if (flight_add(&dtls->flight, datagram) < 0)
        dtls->flight_too_large = true;
}

/** RFC 8122, 5: of several hash functions only the strongest counts. */
static bool certificate_matches(void *owner, struct bytes certificate_der)
{
    struct dtls *dtls = owner;
    enum hash_kind strongest = HASH_SHA1;
    for (uint32_t i = 0; i < dtls->fingerprint_count; i++)
        strongest = max_of(strongest, dtls->fingerprints[i].hash);
    uint8_t digest[HASH_SIZE_MAX];
    hash_compute(strongest, certificate_der, digest);
    for (uint32_t i = 0; i < dtls->fingerprint_count; i++)
        if (dtls->fingerprints[i].hash == strongest &&
            memcmp(dtls->fingerprints[i].value, digest, hash_size(strongest)) == 0)
            return true;
    return false;
}

static const struct dtls_handshake_ops handshake_ops = {
    .send = take_flight_datagram,
    .certificate_matches = certificate_matches,
};

// Beginning and end.

struct dtls *dtls_new(const struct dtls_config *config, uint64_t now_us)
{
    ensure(config->fingerprint_count <= DTLS_FINGERPRINTS_MAX);
    struct dtls *dtls = memory_new(struct dtls);
    dtls->client = config->client;
    dtls->srtp_required = config->srtp_required;
    dtls->mtu = config->mtu ? config->mtu : DTLS_MTU_DEFAULT;
    ensure(dtls->mtu >= 256 && dtls->mtu <= DATAGRAM_SIZE_MAX);
    dtls->provider = config->provider;
    dtls->metrics = config->metrics;
    dtls->fingerprint_count = (uint32_t)config->fingerprint_count;
    dtls->fingerprints = memory_copy(config->fingerprints,
                                     config->fingerprint_count * sizeof(*config->fingerprints));
    dtls->wait_first_us =
        config->retransmit_first_us ? config->retransmit_first_us : DTLS_RETRANSMIT_FIRST_US;
    dtls->wait_us = dtls->wait_first_us;
    dtls->retransmit_us = TIME_NEVER;
    dtls->forget_us = TIME_NEVER;
    dtls->give_up_us = config->client ? now_us + DTLS_HANDSHAKE_TIMEOUT_US : TIME_NEVER;
    dtls->handshake =
        dtls_handshake_new(config->context, config->client, dtls->mtu, &handshake_ops, dtls);
    dtls->flight_is_new = true;
    dtls->first_is_numbered = config->cookie_checked;
    if (config->cookie_checked)
        dtls_handshake_skip_cookie(dtls->handshake);
    if (dtls_handshake_start(dtls->handshake) == DTLS_HANDSHAKE_FAILED)
        dtls_fail(dtls, dtls_handshake_error(dtls->handshake));
    return dtls;
}

void dtls_handshake_release(struct dtls *dtls)
{
    dtls_handshake_free(dtls->handshake);
    dtls->handshake = NULL;
    free(dtls->fingerprints);
    dtls->fingerprints = NULL;
    dtls->fingerprint_count = 0;
}

struct dtls *dtls_free(struct dtls *dtls)
{
    if (!dtls)
        return NULL;
    dtls_handshake_release(dtls);
    flight_done(&dtls->flight);
    record_layer_done(&dtls->records);
    packet_queue_done(&dtls->outgoing);
    packet_queue_done(&dtls->data);
    memory_wipe(&dtls->keys, sizeof(dtls->keys));
    free(dtls);
    return NULL;
}

void dtls_fail(struct dtls *dtls, const char *reason)
{
    struct text_builder text = text_builder_of(dtls->reason_text, sizeof(dtls->reason_text));
    text_append(&text, reason);
    dtls->reason = dtls->reason_text;
    dtls->state = DTLS_STATE_FAILED;
    dtls->ended_event = true;
    dtls->retransmit_us = TIME_NEVER;
    dtls->give_up_us = TIME_NEVER;
    dtls_handshake_release(dtls);
    dtls_count(dtls, DTLS_METRIC_FAILED);
}

/** RFC 5764, 4.2: client key, server key, client salt, server salt. */
static int export_srtp_keys(struct dtls *dtls)
{
    struct dtls_srtp_keys keys = { .profile = dtls_handshake_srtp_profile(dtls->handshake) };
    if (keys.profile == 0)
        return dtls->srtp_required ? -EPROTO : 0;
    keys.key_size = keys.profile == 0x0008 ? 32 : 16;
    keys.salt_size = keys.profile == 0x0001 ? 14 : 12;
    uint8_t block[2 * 32 + 2 * 16];
    int result = dtls_handshake_export(dtls->handshake, DTLS_EXPORT_SRTP_LABEL, block,
                                       2u * (keys.key_size + keys.salt_size));
    if (result < 0)
        return result;
    const uint8_t *client_key = block, *server_key = block + keys.key_size;
    const uint8_t *client_salt = server_key + keys.key_size;
    const uint8_t *server_salt = client_salt + keys.salt_size;
    memcpy(keys.local_key, dtls->client ? client_key : server_key, keys.key_size);
    memcpy(keys.local_salt, dtls->client ? client_salt : server_salt, keys.salt_size);
    memcpy(keys.remote_key, dtls->client ? server_key : client_key, keys.key_size);
    memcpy(keys.remote_salt, dtls->client ? server_salt : client_salt, keys.salt_size);
    dtls->keys = keys;
    memory_wipe(block, sizeof(block));
    memory_wipe(&keys, sizeof(keys));
    return 0;
}

/** Takes what is needed from OpenSSL, then lets go of it: tens of kilobytes per peer. */
static void handshake_done(struct dtls *dtls, uint64_t now_us)
{
    struct dtls_record_keys keys;
    if (export_srtp_keys(dtls) < 0) {
        dtls_fail(dtls, "The peer offered no SRTP protection profile that is spoken here.");
        return;
    }
    if (dtls_handshake_record_keys(dtls->handshake, &keys) < 0) {
        dtls_fail(dtls, "The keys of the DTLS handshake could not be exported.");
        return;
    }
    record_layer_init(&dtls->records, &keys, dtls->client, dtls->provider);
    memory_wipe(&keys, sizeof(keys));
    dtls->records.next_sequence = dtls->flight.encrypted_sequence;
    dtls_handshake_release(dtls);
    dtls->state = DTLS_STATE_CONNECTED;
    dtls->connected_event = true;
    dtls->retransmit_us = TIME_NEVER;
    dtls->give_up_us = TIME_NEVER;
    dtls->forget_us = now_us + DTLS_LAST_FLIGHT_US;
    dtls_count(dtls, DTLS_METRIC_CONNECTED);
}

// Input during the handshake.

/**
 *   0      1        4             6                 9                 12
 *  +------+--------+-------------+-----------------+-----------------+----------
 *  | type | length | message_seq | fragment_offset | fragment_length | ...        RFC 6347, 4.2.2
 *  +------+--------+-------------+-----------------+-----------------+----------
 *
 * Looks at the first message of a plaintext handshake record: 0, or why it is not let through.
 */
static int inspect_message(struct dtls *dtls, uint64_t now_us, struct bytes body)
{
    struct reader reader = reader_of(body.data, body.size);
    reader_skip(&reader, 1);
    uint32_t length = reader_u24(&reader);
    uint16_t sequence = reader_u16(&reader);
    reader_skip(&reader, 6);
    if (reader.failed)
        return dtls_drop(dtls, DTLS_METRIC_DROP_MALFORMED, -EINVAL);
    if (length > DTLS_MESSAGE_SIZE_MAX || sequence >= DTLS_HANDSHAKE_SEQUENCE_MAX)
        return dtls_drop(dtls, DTLS_METRIC_DROP_LIMIT, -ENOBUFS);
    if (sequence < dtls->answered_sequence)
        dtls_repeat_flight(dtls, now_us); // they have not seen our answer
    dtls->heard_sequence = max_of(dtls->heard_sequence, (uint16_t)(sequence + 1));
    return 0;
}

static int admit(struct dtls *dtls, uint64_t now_us, const struct record *record)
{
    if (record->epoch > 1 || record->type == RECORD_APPLICATION_DATA)
        return dtls_drop(dtls, DTLS_METRIC_DROP_UNEXPECTED, -EPROTO);
    if (dtls->taken_bytes + record->whole.size > DTLS_HANDSHAKE_BYTES_MAX ||
        (record->epoch == 1 && dtls->taken_encrypted >= DTLS_ENCRYPTED_RECORDS_MAX))
        return dtls_drop(dtls, DTLS_METRIC_DROP_LIMIT, -ENOBUFS);
    if (record->epoch == 0 && record->type == RECORD_HANDSHAKE) {
        int result = inspect_message(dtls, now_us, record->body);
        if (result < 0)
            return result;
    }
    if (record->epoch == 0 && record->type == RECORD_CHANGE_CIPHER_SPEC && !dtls->heard_change) {
        // from here on OpenSSL can tell false records from true ones and holds none back: what was
        // held shall not stand in the way of the peer's Finished
        dtls->heard_change = true;
        dtls->taken_encrypted = 0;
    }
    dtls->taken_bytes += (uint32_t)record->whole.size;
    dtls->taken_encrypted += record->epoch;
    return 0;
}

static int handshake_record(struct dtls *dtls, uint64_t now_us, const struct record *record)
{
    int result = admit(dtls, now_us, record);
    if (result < 0)
        return result;
    dtls->give_up_us = min_of(dtls->give_up_us, now_us + DTLS_HANDSHAKE_TIMEOUT_US);
    if (dtls->first_is_numbered) {
        // RFC 6347, 4.2.1: our ServerHello must not look like the HelloVerifyRequest once more
        dtls->first_is_numbered = false;
        dtls->flight.next_sequence = record->sequence;
    }
    dtls->flight_is_new = true;
    enum dtls_handshake_state state = dtls_handshake_input(dtls->handshake, record->whole);
    if (!dtls->flight_is_new) { // a new flight was made
        dtls->answered_sequence = dtls->heard_sequence;
        dtls->wait_us = dtls->wait_first_us;
        dtls->retransmit_us = TIME_NEVER; // set when it goes out
    }
    if (state == DTLS_HANDSHAKE_FAILED)
        dtls_fail(dtls, dtls_handshake_error(dtls->handshake));
    else if (dtls->flight_too_large)
        dtls_fail(dtls, "The DTLS handshake needs too many datagrams.");
    else if (state == DTLS_HANDSHAKE_DONE)
        handshake_done(dtls, now_us);
    return 0;
}

int dtls_take_record(struct dtls *dtls, uint64_t now_us, const struct record *record)
{
    switch (dtls->state) {
    case DTLS_STATE_HANDSHAKE:
        return handshake_record(dtls, now_us, record);
    case DTLS_STATE_CONNECTED:
        return dtls_connected_record(dtls, now_us, record);
    default:
        return dtls_drop(dtls, DTLS_METRIC_DROP_ENDED, -EPIPE);
    }
}

int dtls_input(struct dtls *dtls, uint64_t now_us, struct bytes datagram)
{
    struct reader reader = reader_of(datagram.data, datagram.size);
    struct record record;
    bool taken = false;
    int result = -EINVAL;
    while (reader_left(&reader) > 0) {
        if (record_parse(&reader, &record) < 0) {
            result = dtls_drop(dtls, DTLS_METRIC_DROP_MALFORMED, -EINVAL);
            break;
        }
        result = dtls_take_record(dtls, now_us, &record);
        taken |= result == 0;
    }
    return taken ? 0 : result;
}

// Time.

void dtls_repeat_flight(struct dtls *dtls, uint64_t now_us)
{
    if (dtls->flight.count == 0 || !flight_all_sent(&dtls->flight) ||
        now_us < dtls->sent_us + DTLS_REPEAT_GAP_US)
        return;
    flight_rewind(&dtls->flight);
    dtls_count(dtls, DTLS_METRIC_RETRANSMITTED);
}

void dtls_tick(struct dtls *dtls, uint64_t now_us)
{
    if (now_us >= dtls->forget_us) {
        dtls->forget_us = TIME_NEVER;
        flight_done(&dtls->flight);
    }
    if (now_us >= dtls->give_up_us) {
        dtls_fail(dtls, "The DTLS handshake took too long.");
        return;
    }
    if (now_us >= dtls->retransmit_us) {
        dtls->retransmit_us = TIME_NEVER; // set again when it goes out
        dtls->wait_us = min_of(2 * dtls->wait_us, (uint64_t)DTLS_RETRANSMIT_LAST_US);
        dtls_repeat_flight(dtls, now_us);
    }
}

uint64_t dtls_deadline(const struct dtls *dtls)
{
    return time_earlier(dtls->forget_us, time_earlier(dtls->give_up_us, dtls->retransmit_us));
}

// Output and events.

bool dtls_has_output(const struct dtls *dtls)
{
    return !flight_all_sent(&dtls->flight) || !packet_queue_empty(&dtls->outgoing);
}

static bool output_flight(struct dtls *dtls, uint64_t now_us, const struct net_path *path,
                          struct datagram_batch *batch)
{
    if (flight_all_sent(&dtls->flight))
        return true;
    while (!flight_all_sent(&dtls->flight)) {
        size_t size = flight_next_size(&dtls->flight);
        uint8_t *out = datagram_batch_reserve(batch, size);
        if (!out)
            return false;
        flight_next(&dtls->flight, out);
        datagram_batch_commit(batch, path, size);
    }
    dtls->sent_us = now_us;
    if (dtls->state == DTLS_STATE_HANDSHAKE)
        dtls->retransmit_us = now_us + dtls->wait_us;
    return true;
}

void dtls_output(struct dtls *dtls, uint64_t now_us, const struct net_path *path,
                 struct datagram_batch *batch)
{
    if (!output_flight(dtls, now_us, path, batch))
        return;
    while (!packet_queue_empty(&dtls->outgoing)) {
        struct bytes record = packet_queue_first(&dtls->outgoing);
        if (!datagram_batch_add(batch, path, record.data, record.size))
            return;
        packet_queue_remove(&dtls->outgoing);
    }
}

bool dtls_event(struct dtls *dtls, struct dtls_event *ret_event)
{
    if (dtls->connected_event) {
        dtls->connected_event = false;
        *ret_event = (struct dtls_event){ .kind = DTLS_CONNECTED, .keys = dtls->keys };
        memory_wipe(&dtls->keys, sizeof(dtls->keys));
        return true;
    }
    if (dtls->ended_event) {
        dtls->ended_event = false;
        bool failed = dtls->state == DTLS_STATE_FAILED;
        *ret_event = (struct dtls_event){ .kind = failed ? DTLS_FAILED : DTLS_CLOSED,
                                          .reason = dtls->reason };
        return true;
    }
    return false;
}

bool dtls_connected(const struct dtls *dtls)
{
    return dtls->state == DTLS_STATE_CONNECTED;
}
