// The two sides of a call: the caller's offer, then answers and offers of either side, separated by
// zero bytes. The first character of each says whose it is and what: 'o' and 'a' of the caller, 'O'
// and 'A' of the callee. Every text of the server must parse.
#include <stdlib.h>
#include <string.h>

#include "proto/sdp/sdp.h"
#include "room/pairing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rtc_negotiation_local local_side(void)
{
    static const struct bytes candidate = {
        (const uint8_t *)"1 1 udp 2130706431 192.0.2.1 3478 typ host", 42
    };
    return (struct rtc_negotiation_local){
        .ice_ufrag = bytes_of_text("ufrag"),
        .ice_pwd = bytes_of_text("0123456789012345678901"),
        .candidates = &candidate,
        .candidate_count = 1,
        .fingerprint = bytes_of_text("sha-256 AA:BB"),
        .cname = bytes_of_text("roost"),
        .two_way = true,
    };
}

/** Takes over the text. */
static void check_said(char *said)
{
    struct sdp *sdp = NULL;
    ensure(strlen(said) > SDP_SIZE_MAX || sdp_parse(bytes_of_text(said), &sdp, NULL) == 0);
    sdp_free(sdp);
    free(said);
}

static void check_pairs(const struct pairing *pairing)
{
    for (int side = 0; side < 2; side++) {
        (void)pairing_holds(pairing, side);
        for (size_t i = 0; i < PAIRING_SECTIONS_MAX; i++) {
            int partner = pairing_partner(pairing, side, i);
            ensure(partner < 0 || pairing->partners[!side][partner] == (int)i);
        }
    }
}

static void take(struct pairing *pairing, struct random *random, char what, struct bytes text)
{
    struct rtc_negotiation_local local = local_side();
    const char *problem = NULL;
    char *said = NULL;
    int side = what == 'O' || what == 'A';
    if (what == 'a' || what == 'A') {
        (void)!pairing_accept(pairing, side, &local, random, text, &problem);
    } else if (rtc_negotiation_result(pairing->sides[1]) || side == 1) {
        if (pairing_answer(pairing, side, &local, random, text, &said, &problem) == 0)
            check_said(said);
    }
    for (side = 0; side < 2; side++)
        if (pairing_wants_offer(pairing, side))
            check_said(pairing_offer(pairing, side, &local, random));
    check_pairs(pairing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random random;
    random_seeded_init(&random, 1);
    struct pairing pairing;
    struct rtc_negotiation *sides[2] = { rtc_negotiation_new(&random),
                                         rtc_negotiation_new(&random) };
    pairing_init(&pairing, sides[0], sides[1]);
    bool begun = false;
    while (size > 0) {
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end ? (size_t)(end - data) : size;
        if (!begun) {
            struct rtc_negotiation_local local = local_side();
            const char *problem = NULL;
            char *said = NULL;
            begun = pairing_begin(&pairing, &local, &random, bytes_of(data, length), &said,
                                  &problem) == 0;
            if (begun)
                check_said(said);
        } else if (length > 0) {
            take(&pairing, &random, (char)data[0], bytes_of(data + 1, length - 1));
        }
        size_t step = min_of(length + 1, size);
        data += step;
        size -= step;
    }
    rtc_negotiation_free(sides[0]);
    rtc_negotiation_free(sides[1]);
    return 0;
}
