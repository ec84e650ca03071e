/**
 * One media worker: its socket on the shared UDP port, the sessions it has adopted, and its share
 * of every room (room/exchange.h). media_host.h starts the workers and is what the control thread
 * uses.
 */
#pragma once

#include "base/log.h"
#include "runtime/handoff.h"
#include "runtime/udp.h"
#include "runtime/worker.h"
#include "server/media_message.h"

struct media_worker;

/** Shared by all workers, constant once they run (but for what `workers` points to). */
struct media_workers {
    struct worker_group *group;
    struct mailbox *control; /**< where MEDIA_MESSAGE_ADOPTED and _EVENT go */
    struct udp_config udp;
    uint16_t port; /**< the real one: set by the first worker before the others start */
    bool ipv6;     /**< so is this: IPv6 peers can be reached */
    bool ice_tcp;  /**< TURN's TCP ports take ICE */
    struct dtls_context *dtls;
    const struct cipher_provider *ciphers;
    struct log_sink *log_sink;
    int64_t unix_offset_us;
    uint32_t count;
    bool media;                      /**< a media server runs here, not TURN alone */
    enum protection_mode protection; /**< the same */
    uint64_t gop_age_us;             /**< see exchange_config */
    struct turn_shared *turn;        /**< NULL: no TURN server */
    /** Workers that have no place for more sessions, though all video is left out (room/shed.h). */
    _Atomic uint32_t full;
    /** Bytes of data messages on their way to each worker. */
    _Atomic size_t data_in_flight[TRACK_WORKERS_MAX];
    _Atomic(struct media_worker *) workers[TRACK_WORKERS_MAX]; /**< set by each at its start */
};

/** For worker_group_start; `owner` is the struct media_workers. */
extern const struct worker_ops media_worker_ops;

#define MEDIA_WORKER_METRIC_SETS (RTC_METRIC_SETS + 4)
/** All counters of one worker, labelled `worker="N"`; any thread, while the worker runs. */
void media_worker_metric_sets(const struct media_worker *worker,
                              struct metric_set ret_sets[MEDIA_WORKER_METRIC_SETS]);
/** What a message that nobody will handle carries. */
void media_message_discard(const struct message *message);
