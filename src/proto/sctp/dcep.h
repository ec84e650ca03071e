/**
 * The Data Channel Establishment Protocol (RFC 8832): how a data channel is opened over a stream of
 * SCTP, and what the payload protocol identifiers of its messages mean (RFC 8831, 8).
 */
#pragma once

#include "base/bytes.h"

/** Payload protocol identifiers. */
enum dcep_ppid {
    DCEP_PPID_CONTROL = 50,
    DCEP_PPID_TEXT = 51,
    DCEP_PPID_BINARY = 53,
    DCEP_PPID_TEXT_EMPTY = 56, /**< SCTP has no empty messages: one byte that counts for nothing */
    DCEP_PPID_BINARY_EMPTY = 57,
};

enum dcep_reliability {
    DCEP_RELIABLE = 0,
    DCEP_RETRANSMITS = 1, /**< `limit` retransmissions of each message */
    DCEP_LIFETIME = 2,    /**< `limit` milliseconds for each message */
};

#define DCEP_OPEN_HEADER_SIZE 12

/**
 *    |  type = 3     | channel type  |           priority            |   RFC 8832, 5.1
 *    |                     reliability parameter                     |
 *    |         label length          |        protocol length        |
 *    |   label ..., protocol ...                                     |
 */
struct dcep_open {
    bool unordered;
    enum dcep_reliability reliability;
    uint16_t priority;
    uint32_t limit;
    struct bytes label;
    struct bytes protocol;
};

/** Takes DATA_CHANNEL_OPEN. Returns 0, or -EINVAL: another message, or malformed. */
must_check int dcep_open_parse(struct bytes message, struct dcep_open *ret_open);
void dcep_open_write(struct writer *message, const struct dcep_open *open);
/** Whether it is a DATA_CHANNEL_ACK. */
bool dcep_is_ack(struct bytes message);
/** The one byte of a DATA_CHANNEL_ACK. */
extern const uint8_t dcep_ack[1];
