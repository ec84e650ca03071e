/** The inside of a peer's data channels, shared by data*.c and peer.c. */
#pragma once

#include "proto/sctp/sctp.h"
#include "rtc/data.h"
#include "rtc/peer_int.h"

/** Of channels that were opened without a priority: "low" (RFC 8831, 6.4). */
#define DATA_PRIORITY_DEFAULT 256

enum rtc_data_state {
    RTC_DATA_OPENING, /**< ours, not acknowledged */
    RTC_DATA_OPEN,
    RTC_DATA_CLOSING,
    RTC_DATA_GONE, /**< with its association; the application is to be told */
};

/** A channel, from its opening until both directions of its stream were reset. */
struct rtc_data_stream {
    uint16_t id;
    enum rtc_data_state state;
    bool ack_owed;  /**< DATA_CHANNEL_ACK is to be sent */
    bool reset_in;  /**< the other side has closed its direction */
    bool reset_out; /**< we have closed ours */
    bool told_closed;
    bool reset_pending;              /**< of an older channel on this stream: not heard of yet */
    const char *reason;              /**< of GONE */
    struct rtc_data_channel channel; /**< label and protocol point to `text` */
    uint8_t text[];
};

struct rtc_data {
    struct sctp *sctp;         /**< NULL when the section has ended */
    uint32_t message_size_max; /**< what the other side takes */
    uint32_t count;
    struct rtc_data_stream *streams[RTC_DATA_CHANNELS_MAX];
    bool writable_wanted;
    uint16_t writable_stream;
    struct blob *empty; /**< stands for an empty message; NULL until one is sent */
    uint32_t gone;      /**< streams that are GONE */
    /** What comes after an event that was returned: two came of one. */
    struct rtc_data_event held;
    bool has_held;
};

// data.c
/** Makes or ends the association as the sections say. */
void peer_data_sync(struct rtc_peer *peer);
void peer_data_free(struct rtc_peer *peer);
/** DTLS is there. */
void peer_data_start(struct rtc_peer *peer);
/** Takes what DTLS has received. Returns whether there was anything. */
bool peer_data_input(struct rtc_peer *peer, uint64_t now_us);
void peer_data_tick(struct rtc_peer *peer, uint64_t now_us);
/** When there is something to do; 0: a packet waits. */
uint64_t peer_data_deadline(const struct rtc_peer *peer);
void peer_data_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch);
/** Tells the other side that all is over, in front of DTLS's own goodbye. */
void peer_data_goodbye(struct rtc_peer *peer);

// data_channel.c
struct rtc_data_stream *data_stream_find(const struct rtc_data *data, uint16_t id);
/** Takes one event of the association; true when it became an event of the application. */
bool data_take_event(struct rtc_peer *peer, const struct sctp_event *event,
                     struct rtc_data_event *ret_event);
void data_stream_free(struct rtc_data *data, struct rtc_data_stream *stream);
/** All channels are gone. */
void data_streams_end(struct rtc_data *data, const char *reason);
/** Sends acknowledgements of channels that could not be sent before. */
void data_send_acks(struct rtc_data *data, uint64_t now_us);
