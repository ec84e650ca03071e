/** What a server agrees on with an offer, for tests and fuzz targets of a peer. */
#pragma once

#include <stdlib.h>

#include "rtc/negotiate.h"
#include "rtc/params.h"

/** The caller owns the reference. The offer must be one that is answered. */
static inline struct rtc_params *answered_params(struct random *random, const char *offer)
{
    struct rtc_negotiation *negotiation = rtc_negotiation_new(random);
    struct rtc_negotiation_local local = {
        .ice_ufrag = bytes_of_text("ufrag"),
        .ice_pwd = bytes_of_text("0123456789012345678901"),
        .fingerprint = bytes_of_text("sha-256 AA:BB"),
        .cname = bytes_of_text("roost"),
    };
    char *answer = NULL;
    const char *problem = NULL;
    int error = rtc_negotiation_answer(negotiation, &local, random, bytes_of_text(offer), &answer,
                                       &problem);
    ensure(error == 0);
    struct rtc_params *params = rtc_params_new(rtc_negotiation_result(negotiation));
    free(answer);
    rtc_negotiation_free(negotiation);
    return params;
}
