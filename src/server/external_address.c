#include "server/external_address.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "proto/stun/stun.h"
#include "runtime/resolver.h"
#include "runtime/udp.h"

#define RETRANSMIT_US (500 * TIME_US_PER_MS)
#define REQUEST_MAX   64
#define HOST_MAX      256

struct search {
    struct loop loop;
    struct job_inbox inbox;
    struct udp_socket *socket;
    struct net_address server;
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
    struct net_address found;
    bool resolved;
    bool answered;
    int error;
};

static int parse_port(struct bytes text, uint16_t *ret_port)
{
    uint64_t port = 0;
    int result = text_parse_u64(text, UINT16_MAX, &port);
    if (result < 0 || port == 0)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

/** Splits "host:port"; an IPv6 address without brackets has no port. */
static int parse_server(const char *server, char host[HOST_MAX], uint16_t *ret_port)
{
    struct bytes text = bytes_of_text(server), port = { 0 };
    const char *colon = strrchr(server, ':');
    if (*server == '[') {
        port = bytes_of(text.data + 1, text.size - 1);
        text = text_take_until(&port, ']');
        if (!port.data || (port.size > 0 && port.data[0] != ':'))
            return -EINVAL;
        port = port.size > 0 ? bytes_of(port.data + 1, port.size - 1) : (struct bytes){ 0 };
    } else if (colon && strchr(server, ':') == colon) {
        port = text;
        text = text_take_until(&port, ':');
    }
    *ret_port = EXTERNAL_ADDRESS_PORT;
    if (port.data && parse_port(port, ret_port) < 0)
        return -EINVAL;
    return text.size == 0 || text_copy(host, HOST_MAX, text) < 0 ? -EINVAL : 0;
}

static void resolved(void *owner, const struct resolver_result *result)
{
    struct search *search = owner;
    search->resolved = true;
    search->error = result->error;
    for (size_t i = 0; i < result->count; i++) {
        // NAT is a matter of IPv4
        if (i == 0 ||
            (search->server.family != NET_IPV4 && result->addresses[i].family == NET_IPV4))
            search->server = result->addresses[i];
    }
}

static void received(void *owner, unused struct udp_socket *socket,
                     const struct udp_datagram *datagrams, size_t count)
{
    struct search *search = owner;
    for (size_t i = 0; i < count && !search->answered; i++) {
        struct stun_message message;
        if (stun_message_parse(bytes_of(datagrams[i].data, datagrams[i].size), &message) < 0 ||
            message.class != STUN_SUCCESS || message.method != STUN_BINDING ||
            memcmp(stun_message_transaction_id(&message), search->transaction_id,
                   STUN_TRANSACTION_ID_SIZE) != 0)
            continue;
        search->answered =
            stun_message_find_address(&message, STUN_XOR_MAPPED_ADDRESS, &search->found) == 0;
    }
}

static void send_request(const struct search *search)
{
    uint8_t request[REQUEST_MAX];
    struct stun_writer writer;
    stun_writer_start(&writer, request, sizeof(request), STUN_REQUEST, STUN_BINDING,
                      search->transaction_id);
    stun_write_fingerprint(&writer);
    struct net_path path = { .remote = search->server };
    struct datagram_batch batch;
    datagram_batch_init(&batch, DATAGRAM_SIZE_MAX, 1);
    if (datagram_batch_add(&batch, &path, request, stun_writer_finish(&writer)))
        udp_socket_send(search->socket, &batch);
    datagram_batch_done(&batch);
}

static void look_up(struct search *search, const char *host, uint16_t port, uint64_t end_us)
{
    search->error = resolver_lookup(&search->inbox, host, port, resolved, search, NULL);
    while (search->error == 0 && !search->resolved && loop_now_us(&search->loop) < end_us)
        loop_turn(&search->loop, RETRANSMIT_US);
    if (search->error == 0 && !search->resolved)
        search->error = -ETIMEDOUT;
}

static void ask(struct search *search, uint64_t end_us)
{
    static const struct udp_ops ops = { .received = received };
    const struct udp_config config = { 0 };
    search->error = udp_socket_open(&config, &search->loop, &ops, search, &search->socket);
    uint64_t next_us = 0;
    while (search->error == 0 && !search->answered) {
        uint64_t now_us = loop_update_now(&search->loop);
        if (now_us >= end_us) {
            search->error = -ETIMEDOUT;
        } else if (now_us >= next_us) {
            send_request(search);
            next_us = now_us + RETRANSMIT_US;
        }
        loop_turn(&search->loop, RETRANSMIT_US / 2);
    }
    udp_socket_close(search->socket);
}

int external_address_find(const char *server, struct random *random,
                          struct net_address *ret_address)
{
    char host[HOST_MAX];
    uint16_t port = 0;
    int result = parse_server(server, host, &port);
    if (result < 0)
        return result;
    struct search search = { 0 };
    struct jobs *jobs = NULL;
    random_fill(random, search.transaction_id, sizeof(search.transaction_id));
    result = loop_init(&search.loop);
    if (result < 0)
        return result;
    uint64_t end_us = loop_update_now(&search.loop) + EXTERNAL_ADDRESS_TIMEOUT_US;
    result = jobs_start(1, 1, &jobs);
    if (result == 0)
        result = job_inbox_init(&search.inbox, &search.loop, jobs);
    if (result == 0) {
        look_up(&search, host, port, end_us);
        if (search.error == 0)
            ask(&search, end_us);
        result = search.error;
    }
    job_inbox_done(&search.inbox);
    jobs_stop(jobs);
    loop_done(&search.loop);
    if (result == 0) {
        *ret_address = search.found;
        ret_address->port = 0;
    }
    return result;
}
