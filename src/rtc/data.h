/**
 * Data channels of one peer (RFC 8831, RFC 8832) over its DTLS association. They exist while the
 * peer's parameters have a section of data; channels are named by the id of their SCTP stream.
 */
#pragma once

#include "base/blob.h"
#include "rtc/peer.h"

/** Channels of one peer that are open at a time. */
#define RTC_DATA_CHANNELS_MAX 64
/** Bytes of a label, and of a protocol. */
#define RTC_DATA_LABEL_MAX 128
/** Bytes that a peer may have sent and nobody has fetched yet: the window that is announced. */
#define RTC_DATA_WINDOW (1024 * 1024)
/** Bytes that may be taken for a peer before it has acknowledged them. */
#define RTC_DATA_BUFFER_MAX (1024 * 1024)

enum rtc_data_reliability {
    RTC_DATA_RELIABLE,
    RTC_DATA_MAX_RETRANSMITS, /**< of each message: `limit` */
    RTC_DATA_MAX_LIFETIME,    /**< of each message: `limit` milliseconds */
};

/** How a channel was opened. */
struct rtc_data_channel {
    bool ordered;
    enum rtc_data_reliability reliability;
    uint32_t limit;
    uint16_t priority; /**< share of what is sent (RFC 8831, 6.4): 128 to 1024; 0: 256 */
    struct bytes label;
    struct bytes protocol;
    bool negotiated; /**< both sides know of it without a word (RFC 8831, 6.6) */
    uint16_t stream; /**< of a negotiated one; of one that is to be opened: it or one behind it */
};

enum rtc_data_event_kind {
    RTC_DATA_OPENED, /**< by the other side, or ours was acknowledged */
    RTC_DATA_MESSAGE,
    RTC_DATA_WRITABLE, /**< after -EAGAIN: half of the buffer is free */
    RTC_DATA_CLOSED,   /**< nothing more comes on `stream`, and its id may be used again */
};

struct rtc_data_event {
    enum rtc_data_event_kind kind;
    uint16_t stream;
    bool ours;                              /**< OPENED: we opened it */
    const struct rtc_data_channel *channel; /**< OPENED: valid until the next call on the peer */
    bool text;                              /**< MESSAGE */
    struct blob *message;                   /**< MESSAGE: a reference for the caller */
    const char *reason;                     /**< CLOSED: NULL when closed in an orderly way */
};

/**
 * The next event; false when there is none. Nothing is lost: what is not fetched stays, and fills
 * the window in which the other side may send. To be called after rtc_peer_input and
 * rtc_peer_tick, before rtc_peer_output.
 */
bool rtc_peer_data_event(struct rtc_peer *peer, struct rtc_data_event *ret_event);
/**
 * From now on a message on a stream that nobody opened opens it, as a negotiated channel, ordered
 * and reliable for all that is known of it. Otherwise such messages are dropped (counted).
 */
void rtc_peer_data_take_negotiated(struct rtc_peer *peer);
/**
 * Opens a channel; label and protocol are copied. Messages may be sent at once. Returns 0;
 * -ENOTCONN as long as there is no association, -ENOSPC when there are too many channels,
 * -EADDRINUSE when the stream of a negotiated one is in use,
 * -EMSGSIZE when label or protocol is too long, -EAGAIN when the buffer is full.
 */
must_check int rtc_peer_data_open(struct rtc_peer *peer, uint64_t now_us,
                                  const struct rtc_data_channel *channel, uint16_t *ret_stream);
/**
 * Sends a message, which may be empty; a reference to it is taken. Returns 0; -EAGAIN when the
 * buffer is full and nothing was taken; -EMSGSIZE when it is longer than the other side accepts;
 * -ENOENT when there is no such channel, or it is being closed.
 */
must_check int rtc_peer_data_send(struct rtc_peer *peer, uint64_t now_us, uint16_t stream,
                                  struct blob *message, bool text);
/**
 * Closes a channel after what was sent on it. Of what the other side still sends nothing is seen;
 * RTC_DATA_CLOSED follows when it has closed its direction, too.
 */
void rtc_peer_data_close(struct rtc_peer *peer, uint16_t stream);
/** Bytes taken and neither acknowledged nor given up, of all channels. */
size_t rtc_peer_data_buffered(const struct rtc_peer *peer);
