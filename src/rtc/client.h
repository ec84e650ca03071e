/**
 * The client's side of offer and answer, for the load generator and simulations: offers in the form
 * browsers write, and the parameters of a client peer (rtc_peer_new) from the server's answer; or
 * answers to what the server offers. Sections keep their index: what the client sends is a SLOT of
 * its own peer, what it receives a PUBLISH section (see peer.h).
 */
#pragma once

#include "rtc/params.h"

struct rtc_client_section {
    enum rtc_kind kind;  /**< audio (Opus), video or data channels */
    enum codec_id codec; /**< of video; 0: VP8 */
    bool descriptor;     /**< video: offers the dependency descriptor */
    bool sends;
    bool both;     /**< of what is sent: comes from the other side, too */
    bool inactive; /**< rests: keeps its place and its SSRCs; data channels: ended */
    bool red;      /**< audio: may come and go in RED (RFC 2198) */
    bool fec;      /**< video: takes ULPFEC in RED (RFC 5109) */
    uint32_t ssrc; /**< of what is sent */
    uint32_t rtx_ssrc;
    /** Simulcast layers by rid, without announced SSRCs; the caller sends them (RFC 8853). */
    const char *const *rids;
    size_t rid_count;
};

struct rtc_client_offer {
    const char *ufrag;
    const char *pwd;
    const char *fingerprint; /**< "sha-256 AB:CD:..." */
    uint32_t generation;     /**< one more with each ICE restart (new ufrag and pwd) */
    bool passive;            /**< waits for the server to begin DTLS */
    bool answers; /**< this is no offer, but the answer to one of the server with such sections */
    const struct rtc_client_section *sections;
    size_t section_count;
    bool remb_only; /**< knows no transport-wide feedback */
};

#define RTC_CLIENT_OPUS      111
#define RTC_CLIENT_RED       63
#define RTC_CLIENT_VP8       96 /**< or whichever codec the video is */
#define RTC_CLIENT_VIDEO_RED 118
#define RTC_CLIENT_ULPFEC    120
#define RTC_CLIENT_VP8_RTX   97

/** The offer's text, or the answer's; heap, the caller frees. */
char *rtc_client_offer_write(const struct rtc_client_offer *offer);
/**
 * Understands the answer to `offer`, or the server's offer that it answers. Returns 0 with the
 * parameters (one reference), or -EINVAL with a constant sentence.
 */
must_check int rtc_client_answer_read(const struct rtc_client_offer *offer, struct bytes answer,
                                      struct rtc_params **ret_params, const char **ret_problem);
