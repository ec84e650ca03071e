#include "admin/banner.h"

#include <errno.h>
#include <qrencode.h>

#include "base/text.h"

#define URL_MAX       320
#define QUIET_ZONE    2 /**< modules; 4 by the standard, but phones read 2 and terminals are small */
#define ADDRESSES_MAX 8 /**< shown; a server with many containers has dozens */
#define COLOUR_QR     "\x1b[38;5;231;48;5;16m"
#define COLOUR_STRONG "\x1b[1m"
#define COLOUR_END    "\x1b[0m"

static bool is_dark(const QRcode *code, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return inside && (code->data[y * code->width + x] & 1);
}

int banner_write_qr_code(const char *text, struct text_builder *out)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code)
        return -errno;
    size_t before = out->length;
    // two modules per character: white blocks on black, whatever the terminal's own colours
    for (int y = -QUIET_ZONE; y < code->width + QUIET_ZONE; y += 2) {
        text_append(out, "  " COLOUR_QR);
        for (int x = -QUIET_ZONE; x < code->width + QUIET_ZONE; x++) {
            static const char *const blocks[] = { "\u2588", "\u2580", "\u2584", " " };
            text_append(out, blocks[2 * is_dark(code, x, y) + is_dark(code, x, y + 1)]);
        }
        text_append(out, COLOUR_END "\n");
    }
    QRcode_free(code);
    if (!out->truncated)
        return 0;
    out->length = before;
    out->data[before] = '\0';
    out->truncated = false;
    return -ENOSPC;
}

static void write_url(const struct banner *banner, const char *scheme, const char *host,
                      uint16_t port, bool last_strong, struct text_builder *out)
{
    bool strong = banner->terminal && last_strong;
    bool is_default = port == (scheme[4] == 's' ? 443 : 80);
    text_append_format(out, "%s%s://%s", strong ? COLOUR_STRONG : "", scheme, host);
    if (!is_default)
        text_append_format(out, ":%u", port);
    text_append_format(out, "/%s", strong ? COLOUR_END : "");
}

/** An address as the host of a URL: IPv6 in brackets. */
static void url_host(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX + 2])
{
    char text[NET_ADDRESS_TEXT_MAX];
    net_address_format_ip(address, text);
    struct text_builder builder = text_builder_of(out, NET_ADDRESS_TEXT_MAX + 2);
    text_append_format(&builder, address->family == NET_IPV6 ? "[%s]" : "%s", text);
}

static void write_places(const struct banner *banner, struct text_builder *out)
{
    text_append(out, "  On this computer   ");
    if (banner->http_port != 0)
        write_url(banner, "http", "localhost", banner->http_port, true, out);
    else
        write_url(banner, "https", "localhost", banner->https_port, true, out);
    text_append(out, "\n");
    const char *label = "  On your network    ";
    const struct option_list *names = &banner->options->http.names;
    for (size_t i = 0; i < names->count; i++, label = "                     ") {
        text_append(out, label);
        write_url(banner, "https", names->items[i], banner->https_port, true, out);
        text_append(out, "\n");
    }
    for (size_t i = 0; i < min_of(banner->address_count, (size_t)ADDRESSES_MAX); i++) {
        char host[NET_ADDRESS_TEXT_MAX + 2];
        url_host(&banner->addresses[i], host);
        text_append(out, label);
        write_url(banner, "https", host, banner->https_port, true, out);
        text_append(out, "\n");
        label = "                     ";
    }
}

/** The address a phone should open: a configured name, else the first address. */
static bool phone_url(const struct banner *banner, struct text_builder *out)
{
    char host[NET_ADDRESS_TEXT_MAX + 2];
    const struct option_list *names = &banner->options->http.names;
    if (names->count > 0) {
        write_url(banner, "https", names->items[0], banner->https_port, false, out);
        return true;
    }
    if (banner->address_count == 0)
        return false;
    url_host(&banner->addresses[0], host);
    write_url(banner, "https", host, banner->https_port, false, out);
    return true;
}

static void write_phone(const struct banner *banner, struct text_builder *out)
{
    char url_text[URL_MAX];
    struct text_builder url = text_builder_of(url_text, sizeof(url_text));
    if (!banner->terminal || !phone_url(banner, &url) || url.truncated)
        return;
    text_append(out, "\n  With a phone in the same network:\n\n");
    if (banner_write_qr_code(url_text, out) < 0)
        text_append_format(out, "  %s\n", url_text);
}

static void write_advice(const struct banner *banner, struct text_builder *out)
{
    if (banner->self_signed)
        text_append(out, "\n  The certificate is self-signed, so browsers warn once: choose "
                         "\"Advanced\" and go on.\n");
    if (banner->first_start)
        text_append_format(out, "  Keys and secrets were made in %s; they are kept.\n",
                           banner->data_dir);
    if (!banner->self_signed && options_are_closed(banner->options))
        return;
    text_append(out, "\n  Before others than you and your friends can reach it:\n");
    if (banner->self_signed)
        text_append(out, "    http.cert, http.key     a certificate that browsers trust\n");
    if (!options_are_closed(banner->options))
        text_append(out, "    auth.mode               who may join (now: everyone)\n");
    text_append(out, "    rooms.max_*             how much one server may be asked for\n"
                     "  See docs/configuration.md, or `roost check` for all options.\n");
}

/** ---- a TURN server alone ---- */

static void write_turn_port(uint16_t port, bool udp, bool tcp, const char *what,
                            struct text_builder *out)
{
    if (port == 0)
        return;
    char label[32];
    struct text_builder name = text_builder_of(label, sizeof(label));
    text_append_format(&name, "Port %u", port);
    text_append_format(out, "  %-20s %s%s%s%s\n", label, udp ? "UDP" : "",
                       udp && tcp ? " and " : "", tcp ? "TCP" : "", what);
}

static void write_turn(const struct banner *banner, struct text_builder *out)
{
    bool web = banner->https_port != 0;
    text_append_format(out, "\n%sroost %s%s relays (TURN, STUN) and does nothing else:\n\n",
                       banner->terminal ? COLOUR_STRONG : "", ROOST_VERSION,
                       banner->terminal ? COLOUR_END : "");
    bool same = banner->turn_udp_port == banner->turn_port;
    write_turn_port(banner->turn_udp_port, true, same, "", out);
    write_turn_port(same ? 0 : banner->turn_port, false, true, "", out);
    same = banner->turn_dtls_port == banner->turn_tls_port;
    write_turn_port(banner->turn_tls_port, same, true,
                    same ? ", encrypted (DTLS, TLS)" : ", encrypted (TLS)", out);
    write_turn_port(same ? 0 : banner->turn_dtls_port, true, false, ", encrypted (DTLS)", out);
    text_append_format(out, "  Ports %u to %u   UDP, towards peers\n",
                       banner->options->turn.min_port, banner->options->turn.max_port);
    if (web)
        write_turn_port(banner->https_port, false, true,
                        banner->options->turn.https
                            ? ", HTTPS and encrypted (TLS): metrics, admin API, credentials"
                            : ", HTTPS: metrics, admin API, credentials",
                        out);
    write_turn_port(web ? banner->http_port : 0, false, true, ", HTTP for this computer", out);
    text_append_format(out,
                       "\n"
                       "  roost turn-credentials   a credential for a test (with this server's\n"
                       "                           options: --roles turn --data %s)\n"
                       "  roost user add NAME --digest\n"
                       "                           a user with a password\n"
                       "  turn.secrets             what an application signs its own with\n",
                       banner->data_dir);
    if (banner->self_signed)
        text_append(out, "\n  The certificate is self-signed, which browsers refuse for turns: "
                         "http.cert, http.key.\n");
    if (banner->options->turn.no_auth)
        text_append(out, "\n  turn.no_auth is on: everyone who reaches this server may relay.\n");
    text_append(out, "  See docs/turn.md, or `roost check` for all options.\n\n");
}

void banner_write(const struct banner *banner, struct text_builder *out)
{
    if (banner->turn_only) {
        write_turn(banner, out);
        return;
    }
    text_append_format(out, "\n%sroost %s%s is ready. Open a browser:\n\n",
                       banner->terminal ? COLOUR_STRONG : "", ROOST_VERSION,
                       banner->terminal ? COLOUR_END : "");
    write_places(banner, out);
    write_phone(banner, out);
    write_advice(banner, out);
    text_append(out, "\n");
}
