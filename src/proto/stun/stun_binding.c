#include "proto/stun/stun_binding.h"

#include <errno.h>

#define UNKNOWN_LISTED_MAX 8

/**
 * CHANGE-REQUEST (RFC 5780, section 7.2): A is "change IP", B "change port".
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     |0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 A B 0|
 */
#define CHANGE_IP   0x4u
#define CHANGE_PORT 0x2u

/** What RFC 5780 attributes ask for. */
struct wishes {
    uint8_t socket;
    struct net_address to;
    size_t padding;
    bool padded;
};

/** The comprehension-required attributes that mean something here. */
static const uint16_t known_attributes[] = {
    STUN_MAPPED_ADDRESS,
    STUN_USERNAME,
    STUN_ERROR_CODE,
    STUN_UNKNOWN_ATTRIBUTES,
    STUN_REALM,
    STUN_NONCE,
    STUN_PASSWORD_ALGORITHM,
    STUN_USERHASH,
    STUN_XOR_MAPPED_ADDRESS,
    // from here on only with two addresses and ports
    STUN_CHANGE_REQUEST,
    STUN_PADDING,
    STUN_RESPONSE_PORT,
};
#define DISCOVERY_ATTRIBUTES 3

/**
 * RESPONSE-PORT (RFC 5780, section 7.5): a 16-bit port "followed by 2 bytes of padding", which
 * senders count as part of the value or not.
 */
static int read_response_port(struct bytes value, struct net_address *to)
{
    if ((value.size != 2 && value.size != 4) || load_u16(value.data) == 0)
        return -EBADMSG;
    to->port = load_u16(value.data);
    return 0;
}

/** RFC 5780, section 6.1. Returns 0 or -EBADMSG (400). */
static int read_wishes(const struct stun_binding_request *request,
                       const struct stun_message *message, struct wishes *ret_wishes)
{
    struct wishes wishes = { .socket = request->socket & 3, .to = request->source };
    struct bytes padding, port;
    uint32_t change;
    int result = stun_message_find_u32(message, STUN_CHANGE_REQUEST, &change);
    if (result == -EBADMSG)
        return result;
    if (result == 0 && (change & CHANGE_IP))
        wishes.socket ^= STUN_BINDING_OTHER_IP;
    if (result == 0 && (change & CHANGE_PORT))
        wishes.socket ^= STUN_BINDING_OTHER_PORT;
    bool has_port = stun_message_find(message, STUN_RESPONSE_PORT, &port);
    wishes.padded = stun_message_find(message, STUN_PADDING, &padding);
    // an answer over a connection has one way to go
    if (request->stream && (has_port || result == 0))
        return -EBADMSG;
    // section 7.5: "MUST NOT process" both: it would send fragments to a port that asked for none
    if (has_port && wishes.padded)
        return -EBADMSG;
    if (has_port && read_response_port(port, &wishes.to) < 0)
        return -EBADMSG;
    // Section 6.1 says the length SHOULD be the MTU, whatever came in. No more than came in does
    // for a client that tests fragments, and is useless to one that wants to amplify.
    if (wishes.padded && !request->stream)
        wishes.padding = min_of(padding.size & ~(size_t)3, (size_t)STUN_BINDING_PADDING_MAX);
    *ret_wishes = wishes;
    return 0;
}

static void write_success(const struct stun_binding_config *config,
                          const struct stun_binding_request *request, const struct wishes *wishes,
                          struct stun_writer *writer)
{
    stun_write_address(writer, STUN_XOR_MAPPED_ADDRESS, &request->source);
    if (!config->discovery)
        return;
    unsigned opposite = STUN_BINDING_OTHER_IP | STUN_BINDING_OTHER_PORT;
    stun_write_address(writer, STUN_MAPPED_ADDRESS, &request->source);
    stun_write_address(writer, STUN_RESPONSE_ORIGIN, &config->sockets[wishes->socket]);
    stun_write_address(writer, STUN_OTHER_ADDRESS,
                       &config->sockets[(request->socket & 3) ^ opposite]);
    static const uint8_t zeros[STUN_BINDING_PADDING_MAX];
    if (wishes->padded)
        stun_write_bytes(writer, STUN_PADDING, bytes_of(zeros, wishes->padding));
}

/** ERROR-CODE (RFC 8489, section 14.8) without a phrase: strangers get no more than they need. */
static void write_error(struct stun_writer *writer, uint16_t code)
{
    stun_write_u32(writer, STUN_ERROR_CODE, (uint32_t)(code / 100) << 8 | code % 100);
}

static void start(struct stun_writer *writer, uint8_t *out, enum stun_class class,
                  const struct stun_message *message)
{
    stun_writer_start(writer, out, STUN_BINDING_ANSWER_MAX, class, STUN_BINDING,
                      stun_message_transaction_id(message));
}

int stun_binding_answer(const struct stun_binding_config *config,
                        const struct stun_binding_request *request,
                        uint8_t out[STUN_BINDING_ANSWER_MAX],
                        struct stun_binding_answer *ret_answer)
{
    struct stun_message message;
    if (stun_message_parse(request->message, &message) < 0 ||
        stun_message_check_fingerprint(&message) == -EBADMSG)
        return -EBADMSG;
    if (message.class != STUN_REQUEST || message.method != STUN_BINDING)
        return -ENOMSG;
    struct wishes wishes = { .socket = request->socket & 3, .to = request->source };
    size_t known_count =
        array_size(known_attributes) - (config->discovery ? 0 : DISCOVERY_ATTRIBUTES);
    uint16_t unknown[UNKNOWN_LISTED_MAX];
    size_t unknown_count =
        stun_message_unknown(&message, known_attributes, known_count, unknown, array_size(unknown));
    struct stun_writer writer;
    if (unknown_count > 0) {
        start(&writer, out, STUN_ERROR, &message);
        write_error(&writer, STUN_UNKNOWN_ATTRIBUTE);
        stun_write_unknown(&writer, unknown, unknown_count);
    } else if (config->discovery && read_wishes(request, &message, &wishes) < 0) {
        start(&writer, out, STUN_ERROR, &message);
        write_error(&writer, STUN_BAD_REQUEST);
    } else {
        start(&writer, out, STUN_SUCCESS, &message);
        write_success(config, request, &wishes, &writer);
    }
    if (config->software.size > 0 && config->software.size <= STUN_BINDING_SOFTWARE_MAX)
        stun_write_bytes(&writer, STUN_SOFTWARE, config->software);
    if (message.fingerprint)
        stun_write_fingerprint(&writer);
    size_t size = stun_writer_finish(&writer);
    ensure(size > 0);
    *ret_answer = (struct stun_binding_answer){
        .size = size,
        .socket = config->discovery ? wishes.socket : request->socket,
        .to = wishes.to,
    };
    return 0;
}
