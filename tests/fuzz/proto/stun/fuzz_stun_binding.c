// Arbitrary bytes as a request to the STUN server, with and without RFC 5780: whatever is answered
// is a message that parses, goes to the IP that asked, and is no longer than a few attributes more
// than the question.
#include <string.h>

#include "proto/stun/stun_binding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t flags = data[0];
    struct stun_binding_config config = { .discovery = flags & 1 };
    for (uint8_t i = 0; i < STUN_BINDING_SOCKETS; i++)
        config.sockets[i] = net_address_ipv4(192, 0, 2, 1 + i / 2, (uint16_t)(3478 + i % 2));
    if (flags & 2)
        config.software = bytes_of_text("software");
    struct stun_binding_request request = {
        .message = bytes_of(data + 1, size - 1),
        .source = net_address_ipv4(198, 51, 100, 7, 40000),
        .stream = flags & 4,
        .socket = flags >> 4 & 3,
    };
    uint8_t out[STUN_BINDING_ANSWER_MAX];
    struct stun_binding_answer answer;
    if (stun_binding_answer(&config, &request, out, &answer) < 0)
        return 0;
    struct stun_message message;
    ensure(stun_message_parse(bytes_of(out, answer.size), &message) == 0);
    ensure(message.class == STUN_SUCCESS || message.class == STUN_ERROR);
    ensure(answer.size <= request.message.size + 80);
    ensure(answer.socket < STUN_BINDING_SOCKETS);
    ensure(net_address_same_ip(&answer.to, &request.source) && answer.to.port != 0);
    ensure(!request.stream || net_address_equal(&answer.to, &request.source));
    ensure(memcmp(stun_message_transaction_id(&message), data + 9, 12) == 0);
    return 0;
}
