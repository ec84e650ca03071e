#include "proto/ws/ws_handshake.h"

#include <errno.h>
#include <string.h>

#include "crypto/hash.h"

void ws_accept_write(struct bytes key, char out[WS_ACCEPT_SIZE])
{
    uint8_t digest[HASH_SHA1_SIZE];
    struct hash hash;
    hash_begin(&hash, HASH_SHA1);
    hash_add(&hash, key);
    hash_add(&hash, bytes_of_text("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    hash_end(&hash, digest);
    text_base64_write(bytes_of(digest, sizeof(digest)), out);
}

bool ws_handshake_wanted(const struct http_request *request)
{
    return http_headers_list_has(&request->headers, "upgrade", "websocket");
}

/** 8 to 15 as a decimal number without leading zero, perhaps quoted; 0 when malformed. */
static uint8_t window_bits_parse(struct bytes value)
{
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
        value = bytes_of(value.data + 1, value.size - 2);
    uint64_t bits;
    if (value.size == 0 || value.data[0] == '0' || text_parse_u64(value, 15, &bits) != 0)
        return 0;
    return bits >= 8 ? (uint8_t)bits : 0;
}

/** The parameters of one offer or answer, as they stand (RFC 7692, 7.1). */
struct deflate_parameters {
    bool server_no_takeover;
    bool client_no_takeover;
    bool has_server_bits;
    bool has_client_bits;
    uint8_t server_bits;
    uint8_t client_bits; /**< 0 when given without a value */
};

static bool flag_set(bool *flag)
{
    bool first = !*flag;
    *flag = true;
    return first;
}

static bool parameter_parse(struct bytes name, struct bytes value,
                            struct deflate_parameters *parameters)
{
    if (text_equal_ignore_case(name, "server_no_context_takeover"))
        return !value.data && flag_set(&parameters->server_no_takeover);
    if (text_equal_ignore_case(name, "client_no_context_takeover"))
        return !value.data && flag_set(&parameters->client_no_takeover);
    uint8_t bits = value.data ? window_bits_parse(value) : 0;
    if (text_equal_ignore_case(name, "server_max_window_bits")) {
        parameters->server_bits = bits;
        return bits > 0 && flag_set(&parameters->has_server_bits);
    }
    if (text_equal_ignore_case(name, "client_max_window_bits")) {
        parameters->client_bits = bits;
        return (bits > 0 || !value.data) && flag_set(&parameters->has_client_bits);
    }
    return false;
}

/** False when the element is another extension, or malformed. */
static bool parameters_parse(struct bytes element, struct deflate_parameters *ret_parameters)
{
    if (!text_equal_ignore_case(text_trim(text_take_until(&element, ';')), "permessage-deflate"))
        return false;
    *ret_parameters = (struct deflate_parameters){ 0 };
    while (element.data) {
        struct bytes value = text_take_until(&element, ';');
        struct bytes name = text_trim(text_take_until(&value, '='));
        if (!parameter_parse(name, value.data ? text_trim(value) : value, ret_parameters))
            return false;
    }
    return true;
}

/** Takes the first offer of permessage-deflate that we can satisfy. */
static struct ws_deflate deflate_choose(const struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (!text_equal_ignore_case(headers->items[i].name, "sec-websocket-extensions"))
            continue;
        struct bytes rest = headers->items[i].value;
        struct bytes element;
        while (http_list_next(&rest, &element)) {
            struct deflate_parameters offer;
            // zlib's deflate has no window of 8 bits
            if (!parameters_parse(element, &offer) ||
                (offer.has_server_bits && offer.server_bits == 8))
                continue;
            return (struct ws_deflate){
                .enabled = true,
                .server_no_context_takeover = true,
                .client_no_context_takeover = true,
                .server_window_bits = offer.has_server_bits ? offer.server_bits : 15,
                .client_window_bits = 15,
            };
        }
    }
    return (struct ws_deflate){ 0 };
}

/** Our most preferred name that the client lists; NULL when there is none. */
static const char *subprotocol_choose(const struct http_headers *headers,
                                      const char *const *subprotocols)
{
    for (; subprotocols && *subprotocols; subprotocols++) {
        if (http_headers_list_has(headers, "sec-websocket-protocol", *subprotocols))
            return *subprotocols;
    }
    return NULL;
}

static struct ws_handshake refuse(unsigned status, const char *sentence)
{
    return (struct ws_handshake){ .status = status, .sentence = sentence };
}

struct ws_handshake ws_handshake_check(const struct http_request *request,
                                       const struct ws_server_offer *offer)
{
    const struct http_headers *headers = &request->headers;
    if (request->method != HTTP_METHOD_GET)
        return refuse(405, "A WebSocket is opened with GET.");
    if (!ws_handshake_wanted(request))
        return refuse(426, "This address speaks WebSocket only.");
    if (request->version_minor < 1 || request->has_body ||
        !http_headers_list_has(headers, "connection", "upgrade"))
        return refuse(400, "The WebSocket handshake is malformed.");
    if (http_headers_count(headers, "sec-websocket-version") != 1 ||
        !text_equal(http_headers_find(headers, "sec-websocket-version"), "13"))
        return refuse(426, "Only version 13 of WebSocket is spoken here.");
    struct bytes key = http_headers_find(headers, "sec-websocket-key");
    uint8_t decoded[16];
    if (http_headers_count(headers, "sec-websocket-key") != 1 || key.size != WS_KEY_SIZE - 1 ||
        text_base64_parse(key, decoded, sizeof(decoded)) != sizeof(decoded))
        return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64.");
    struct ws_handshake handshake = { .status = 101 };
    handshake.subprotocol = subprotocol_choose(headers, offer->subprotocols);
    if (offer->subprotocol_required && !handshake.subprotocol)
        return refuse(400, "None of the subprotocols spoken here was offered.");
    if (offer->deflate)
        handshake.deflate = deflate_choose(headers);
    ws_accept_write(key, handshake.accept);
    return handshake;
}

void ws_handshake_write(const struct ws_handshake *handshake, struct text_builder *out)
{
    http_response_begin(out, 101, 0);
    http_field_write_text(out, "Upgrade", "websocket");
    http_field_write_text(out, "Connection", "Upgrade");
    http_field_write_text(out, "Sec-WebSocket-Accept", handshake->accept);
    if (handshake->subprotocol)
        http_field_write_text(out, "Sec-WebSocket-Protocol", handshake->subprotocol);
    if (handshake->deflate.enabled) {
        text_append(out, "Sec-WebSocket-Extensions: permessage-deflate; "
                         "server_no_context_takeover; client_no_context_takeover");
        if (handshake->deflate.server_window_bits < 15)
            text_append_format(out, "; server_max_window_bits=%u",
                               handshake->deflate.server_window_bits);
        text_append(out, "\r\n");
    }
    http_head_end(out);
}

void ws_client_handshake_write(const struct ws_client_offer *offer, struct random *random,
                               struct text_builder *out, char ret_key[WS_KEY_SIZE])
{
    uint8_t nonce[16];
    random_fill(random, nonce, sizeof(nonce));
    text_base64_write(bytes_of(nonce, sizeof(nonce)), ret_key);
    http_client_request_begin(out, "GET", offer->target, offer->host);
    http_field_write_text(out, "Upgrade", "websocket");
    http_field_write_text(out, "Connection", "Upgrade");
    http_field_write_text(out, "Sec-WebSocket-Key", ret_key);
    http_field_write_text(out, "Sec-WebSocket-Version", "13");
    if (offer->origin)
        http_field_write_text(out, "Origin", offer->origin);
    if (offer->subprotocol)
        http_field_write_text(out, "Sec-WebSocket-Protocol", offer->subprotocol);
    if (offer->deflate)
        http_field_write_text(out, "Sec-WebSocket-Extensions",
                              "permessage-deflate; server_no_context_takeover; "
                              "client_no_context_takeover");
    http_head_end(out);
}

/** What the server agreed to; -EPROTO for anything that was not offered. */
static int extensions_check(const struct http_headers *headers, bool offered,
                            struct ws_deflate *ret_deflate)
{
    *ret_deflate = (struct ws_deflate){ 0 };
    size_t count = http_headers_count(headers, "sec-websocket-extensions");
    if (count == 0)
        return 0;
    struct bytes rest = http_headers_find(headers, "sec-websocket-extensions");
    struct bytes element, more;
    struct deflate_parameters answer;
    if (!offered || count > 1 || !http_list_next(&rest, &element) || http_list_next(&rest, &more) ||
        !parameters_parse(element, &answer) || answer.has_client_bits)
        return -EPROTO;
    *ret_deflate = (struct ws_deflate){
        .enabled = true,
        .server_no_context_takeover = answer.server_no_takeover,
        .client_no_context_takeover = true,
        .server_window_bits = answer.has_server_bits ? answer.server_bits : 15,
        .client_window_bits = 15,
    };
    return 0;
}

int ws_client_handshake_check(const struct http_response *response,
                              const struct ws_client_offer *offer, const char *key,
                              struct ws_deflate *ret_deflate,
                              char ret_subprotocol[WS_SUBPROTOCOL_SIZE])
{
    const struct http_headers *headers = &response->headers;
    if (response->status != 101)
        return -ECONNREFUSED;
    char accept[WS_ACCEPT_SIZE];
    ws_accept_write(bytes_of_text(key), accept);
    if (!http_headers_list_has(headers, "upgrade", "websocket") ||
        !http_headers_list_has(headers, "connection", "upgrade") ||
        !text_equal(http_headers_find(headers, "sec-websocket-accept"), accept))
        return -EPROTO;
    struct bytes chosen = http_headers_find(headers, "sec-websocket-protocol");
    struct bytes offered = bytes_of_text(offer->subprotocol ? offer->subprotocol : "");
    struct bytes element;
    bool known = !chosen.data;
    while (!known && http_list_next(&offered, &element))
        known = bytes_equal(element, chosen);
    struct ws_deflate deflate;
    if (!known || extensions_check(headers, offer->deflate, &deflate) != 0 ||
        chosen.size >= WS_SUBPROTOCOL_SIZE)
        return -EPROTO;
    *ret_deflate = deflate;
    return text_copy(ret_subprotocol, WS_SUBPROTOCOL_SIZE, chosen);
}
