#include "server/protocol_sniff.h"

#include <string.h>

#include "base/text.h"

static const uint8_t stun_cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };

static bool has_cookie(struct bytes first, size_t at)
{
    return first.size >= at + 4 && memcmp(first.data + at, stun_cookie, 4) == 0;
}

/** A text protocol by the end of its first line. */
static enum protocol_sniffed sniff_line(struct bytes first)
{
    const uint8_t *end = memchr(first.data, '\n', first.size);
    if (!end)
        return first.size > 4 && text_starts_with(first, "SIP/") ? PROTOCOL_SIP : PROTOCOL_HTTP;
    struct bytes line = bytes_of(first.data, (size_t)(end - first.data));
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    static const char sip[] = " SIP/2.0";
    size_t length = sizeof(sip) - 1;
    bool is_sip = text_starts_with(line, "SIP/2.0 ") ||
                  (line.size > length && memcmp(line.data + line.size - length, sip, length) == 0);
    return is_sip ? PROTOCOL_SIP : PROTOCOL_HTTP;
}

/** MQTT's fixed header: 0x10, a remaining length of 1 to 4 bytes, the protocol's name. */
static bool is_mqtt(struct bytes first)
{
    size_t at = 1;
    while (at < 4 && at < first.size && first.data[at] & 0x80)
        at++;
    struct bytes name = bytes_of(first.data + at + 1, first.size > at ? first.size - at - 1 : 0);
    static const uint8_t v4[] = { 0, 4, 'M', 'Q' }, v3[] = { 0, 6, 'M', 'Q' };
    return name.size >= 4 && (memcmp(name.data, v4, 4) == 0 || memcmp(name.data, v3, 4) == 0);
}

enum protocol_sniffed protocol_sniff(struct bytes first)
{
    if (first.size == 0)
        return PROTOCOL_MORE_NEEDED;
    uint8_t c = first.data[0];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c == '<')
        return PROTOCOL_XMPP;
    if (first.size < 2)
        return letter ? PROTOCOL_HTTP : PROTOCOL_MORE_NEEDED;
    if (c == 0x16 && first.data[1] == 0x03)
        return PROTOCOL_TLS;
    // the cookie's place alone tells a STUN header from the length of an RFC 4571 frame
    if (first.size < PROTOCOL_SNIFF_BINARY_SIZE) {
        bool binary = !letter && c != '\r' && c != '\n';
        return binary ? PROTOCOL_MORE_NEEDED : sniff_line(first);
    }
    if (c <= 1 && has_cookie(first, 4))
        return PROTOCOL_STUN;
    if (has_cookie(first, 6))
        return PROTOCOL_ICE_TCP;
    if (c == 0x10 && is_mqtt(first))
        return PROTOCOL_MQTT;
    return letter || c == '\r' || c == '\n' ? sniff_line(first) : PROTOCOL_UNKNOWN;
}
