// The first byte chooses the profile and what happens with the rest: opened as it is, or protected
// first; what was protected must come back unchanged.
#include <stdlib.h>
#include <string.h>

#include "proto/srtp/secure_rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t profiles[] = { SECURE_RTP_AEAD_AES_128_GCM, SECURE_RTP_AEAD_AES_256_GCM,
                                     SECURE_RTP_AES_CM_128_HMAC_SHA1_80 };

static struct secure_rtp_session *session_new(uint16_t profile)
{
    static const uint8_t key[32] = { 1, 2, 3 }, salt[14] = { 4, 5, 6 };
    struct secure_rtp_session *session;
    int result = secure_rtp_session_new(
        &(struct secure_rtp_config){
            .profile = profile,
            .master_key = bytes_of(key, secure_rtp_key_size(profile)),
            .master_salt = bytes_of(salt, secure_rtp_salt_size(profile)),
            .stream_limit = 4,
        },
        &session);
    ensure(result == 0);
    return session;
}

static void round_trip(struct secure_rtp_session *sends, struct secure_rtp_session *receives,
                       struct bytes packet, bool rtcp)
{
    size_t capacity = packet.size + SECURE_RTCP_OVERHEAD_MAX;
    uint8_t *sealed = malloc(capacity), *opened = malloc(packet.size + 1);
    ssize_t size;
    if (rtcp) {
        size = secure_rtcp_protect(sends, packet, sealed, capacity);
    } else {
        size_t header = 12;
        if (packet.size >= 12)
            header += 4u * (packet.data[0] & 15);
        if (packet.size >= header + 4 && packet.data[0] & 0x10)
            header += 4 + 4u * load_u16(packet.data + header + 2);
        header = min_of(header, packet.size);
        struct secure_rtp_sender sender = { 0 };
        size = secure_rtp_protect(sends, &sender, bytes_of(packet.data, header),
                                  bytes_of(packet.data + header, packet.size - header), sealed,
                                  capacity);
    }
    if (size > 0) {
        struct bytes secured = bytes_of(sealed, (size_t)size);
        ssize_t plain = rtcp ? secure_rtcp_unprotect(receives, secured, opened, packet.size)
                             : secure_rtp_unprotect(receives, secured, opened, packet.size, NULL);
        if (plain >= 0)
            ensure((size_t)plain == packet.size && memcmp(opened, packet.data, packet.size) == 0);
        plain = rtcp ? secure_rtcp_unprotect(receives, secured, sealed, capacity)
                     : secure_rtp_unprotect(receives, secured, sealed, capacity, NULL);
        ensure(plain < 0); // a replay, or malformed before as well
    }
    free(sealed);
    free(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    uint16_t profile = profiles[data[0] % array_size(profiles)];
    bool rtcp = data[0] & 0x40, protect = data[0] & 0x80;
    struct bytes packet = bytes_of(data + 1, size - 1);
    struct secure_rtp_session *sends = session_new(profile), *receives = session_new(profile);
    if (protect) {
        round_trip(sends, receives, packet, rtcp);
    } else {
        uint8_t *out = malloc(size);
        // who looks on sees the same, and changes nothing
        ssize_t seen = rtcp ? secure_rtcp_reveal(receives, packet, out, size)
                            : secure_rtp_reveal(receives, NULL, packet, out, size);
        ssize_t result = rtcp ? secure_rtcp_unprotect(receives, packet, out, size)
                              : secure_rtp_unprotect(receives, packet, out, size, NULL);
        ensure(result < (ssize_t)packet.size && (seen < 0) == (result < 0));
        free(out);
    }
    secure_rtp_session_free(sends);
    secure_rtp_session_free(receives);
    return 0;
}
