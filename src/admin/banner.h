/** What a person sees at start: where to open the browser, and what to change before exposing. */
#pragma once

#include "admin/options.h"

struct banner {
    const struct roost_options *options;
    uint16_t https_port; /**< as bound */
    uint16_t http_port;  /**< as bound; 0 when plain HTTP is off */
    bool self_signed;
    bool first_start;
    const char *data_dir;
    /** Addresses of this machine that others may reach, loopback left out. */
    const struct net_address *addresses;
    size_t address_count;
    bool turn_only;         /**< a TURN server alone, at most with an API */
    uint16_t turn_udp_port; /**< as bound; 0: none */
    uint16_t turn_port;
    uint16_t turn_tls_port;
    uint16_t turn_dtls_port;
    bool terminal; /**< colours and a QR code */
};

void banner_write(const struct banner *banner, struct text_builder *out);
/**
 * Appends `text` as a QR code of half-block characters, dark on light whatever the terminal's
 * colours are. Returns 0, or a negative errno with `out` as it was.
 */
must_check int banner_write_qr_code(const char *text, struct text_builder *out);
