// Data channels of a peer whose other side says what the input says: messages of any kind on any
// stream, resets, restarts, in any order with what the application does. The application must see
// channels that open, carry messages and close, in that order, whatever comes.
//
//   | action (1) | stream (1) | size (1) | size bytes |
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/sctp/dcep.h"
#include "rtc/client.h"
#include "rtc/data_int.h"
#include "support/answered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 96
#define STEPS   400

enum action {
    ACTION_THEY_SEND, // with the kind of message that the bytes begin with
    ACTION_THEY_OPEN,
    ACTION_THEY_RESET,
    ACTION_THEY_RESTART,
    ACTION_WE_OPEN,
    ACTION_WE_SEND,
    ACTION_WE_CLOSE,
    ACTION_WE_LOOK,
    ACTION_PASS, // packets, both ways
    ACTION_PASS_OURS,
    ACTION_PASS_THEIRS,
    ACTION_COUNT
};

/** A channel as the application knows it. */
enum channel { CHANNEL_NONE, CHANNEL_OPENING, CHANNEL_OPEN, CHANNEL_CLOSING };

struct bed {
    uint64_t now_us;
    struct random random;
    struct rtc_thread thread;
    struct rtc_peer *peer;
    struct sctp *other;
    enum channel channels[STREAMS];
    uint32_t count;
};

static const char offer_text[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 "
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:"
    "FF\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:1000\r\n";

static void other_begins(struct bed *bed)
{
    sctp_free(bed->other);
    bed->other = sctp_new(&(struct sctp_config){
        .local_port = 5000,
        .remote_port = 5000,
        .streams = STREAMS,
        .receive_window = 1u << 20,
        .send_capacity = 1u << 20,
        .message_size_max = 1u << 18,
        .features = { true, true, true, true },
        .random = &bed->random,
    });
    sctp_connect(bed->other);
}

static void pass(struct bed *bed, bool ours, bool theirs)
{
    uint8_t packet[SCTP_PACKET_SIZE_MAX];
    size_t size;
    struct sctp *own = bed->peer->data->sctp;
    struct sctp_event event;
    data_send_acks(bed->peer->data, bed->now_us);
    for (int i = 0; ours && i < 64 && (size = sctp_output(own, bed->now_us, packet)); i++)
        sctp_input(bed->other, bed->now_us, bytes_of(packet, size));
    for (int i = 0; theirs && i < 64 && (size = sctp_output(bed->other, bed->now_us, packet)); i++)
        sctp_input(own, bed->now_us, bytes_of(packet, size));
    bed->now_us += 20000;
    sctp_tick(own, bed->now_us);
    sctp_tick(bed->other, bed->now_us);
    while (sctp_event(bed->other, &event))
        blob_unref(event.message);
}

/** The application hears of things in an order that makes sense. */
static void look(struct bed *bed)
{
    struct rtc_data_event event;
    while (rtc_peer_data_event(bed->peer, &event)) {
        ensure(event.stream < STREAMS);
        enum channel *channel = &bed->channels[event.stream];
        switch (event.kind) {
        case RTC_DATA_OPENED:
            ensure(*channel == (event.ours ? CHANNEL_OPENING : CHANNEL_NONE));
            ensure(event.channel->label.size <= RTC_DATA_LABEL_MAX);
            ensure(event.channel->protocol.size <= RTC_DATA_LABEL_MAX);
            bed->count += *channel == CHANNEL_NONE;
            *channel = CHANNEL_OPEN;
            break;
        case RTC_DATA_MESSAGE:
            ensure(*channel == CHANNEL_OPEN && event.message != NULL);
            blob_unref(event.message);
            break;
        case RTC_DATA_WRITABLE:
            break;
        case RTC_DATA_CLOSED:
            ensure(*channel != CHANNEL_NONE);
            *channel = CHANNEL_NONE;
            bed->count--;
            break;
        }
        ensure(bed->count <= RTC_DATA_CHANNELS_MAX);
    }
}

static void they_send(struct bed *bed, uint16_t stream, uint32_t ppid, struct bytes bytes)
{
    struct blob *content = blob_new(bytes.size > 0 ? bytes : bytes_of("", 1));
    ensure(content != NULL);
    const struct sctp_message message = { .stream = stream,
                                          .ppid = ppid,
                                          .unordered = ppid & 1,
                                          .retransmits_max = UINT32_MAX,
                                          .content = content };
    ensure(sctp_send(bed->other, bed->now_us, &message) <= 0);
    blob_unref(content);
}

static void we_send(struct bed *bed, uint16_t stream, struct bytes bytes)
{
    struct blob *content = blob_new(bytes);
    ensure(content != NULL);
    int error = rtc_peer_data_send(bed->peer, bed->now_us, stream, content, bytes.size & 1);
    // channels of theirs may have ended without our having looked
    ensure(error == 0 || error == -EAGAIN || error == -ENOENT);
    ensure(error != 0 || bed->channels[stream] == CHANNEL_OPEN ||
           bed->channels[stream] == CHANNEL_OPENING);
    blob_unref(content);
}

static void we_open(struct bed *bed, struct bytes bytes)
{
    const struct rtc_data_channel channel = { .ordered = bytes.size & 1, .label = bytes };
    uint16_t stream;
    if (rtc_peer_data_open(bed->peer, bed->now_us, &channel, &stream) < 0)
        return;
    ensure(stream < STREAMS && bed->channels[stream] == CHANNEL_NONE);
    bed->channels[stream] = CHANNEL_OPENING;
    bed->count++;
}

static void act(struct bed *bed, enum action action, uint16_t stream, struct bytes bytes)
{
    static const uint32_t ppids[] = {
        DCEP_PPID_CONTROL,    DCEP_PPID_TEXT,         54,
        DCEP_PPID_TEXT_EMPTY, DCEP_PPID_BINARY_EMPTY, DCEP_PPID_BINARY
    };
    uint8_t open[DCEP_OPEN_HEADER_SIZE + 256];
    struct writer writer = writer_of(open, sizeof(open));
    switch (action) {
    case ACTION_THEY_SEND:
        they_send(bed, stream, ppids[bytes.size % array_size(ppids)], bytes);
        break;
    case ACTION_THEY_OPEN:
        dcep_open_write(&writer, &(struct dcep_open){ .unordered = stream & 1, .label = bytes });
        they_send(bed, stream, DCEP_PPID_CONTROL, writer_written(&writer));
        break;
    case ACTION_THEY_RESET:
        ensure(sctp_reset_stream(bed->other, stream) <= 0);
        break;
    case ACTION_THEY_RESTART:
        other_begins(bed);
        break;
    case ACTION_WE_OPEN:
        look(bed); // what has closed unseen has its id taken
        we_open(bed, bytes);
        break;
    case ACTION_WE_SEND:
        we_send(bed, stream, bytes);
        break;
    case ACTION_WE_CLOSE:
        rtc_peer_data_close(bed->peer, stream);
        if (bed->channels[stream] != CHANNEL_NONE)
            bed->channels[stream] = CHANNEL_CLOSING;
        break;
    case ACTION_WE_LOOK:
        look(bed);
        break;
    default:
        pass(bed, action != ACTION_PASS_THEIRS, action != ACTION_PASS_OURS);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bed bed = { .now_us = 1000000 };
    random_seeded_init(&bed.random, 1);
    bed.thread.random = &bed.random;
    struct rtc_params *params = answered_params(&bed.random, offer_text);
    // a client's engine needs no DTLS context before it has a path
    ensure(rtc_peer_new(&bed.thread, true, params, bed.now_us, &bed.peer) == 0);
    rtc_params_unref(params);
    bed.peer->state = RTC_PEER_CONNECTED;
    peer_data_start(bed.peer);
    other_begins(&bed);
    for (int i = 0; i < 4; i++)
        pass(&bed, true, true);
    struct reader reader = reader_of(data, size);
    for (int i = 0; i < STEPS && reader_left(&reader) >= 3; i++) {
        enum action action = reader_u8(&reader) % ACTION_COUNT;
        uint16_t stream = reader_u8(&reader) % STREAMS;
        size_t length = reader_u8(&reader);
        act(&bed, action, stream, reader_bytes(&reader, min_of(length, reader_left(&reader))));
    }
    look(&bed);
    rtc_peer_free(bed.peer);
    sctp_free(bed.other);
    return 0;
}
