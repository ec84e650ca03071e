#include "server/turn_nat_discovery.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/stun/stun_binding.h"
#include "proto/turn/turn_quota.h"

/** Few and small datagrams come here. */
#define SOCKET_BUFFER_BYTES (256u << 10)
/** A free port of the first address may be taken on the second. */
#define FREE_PORT_TRIES 16

const struct metric_description
    turn_nat_discovery_metric_descriptions[TURN_NAT_DISCOVERY_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(TURN_NAT_DISCOVERY_##id, kind, name, labels, help)
#include "server/turn_nat_discovery_metrics.def"
#undef METRIC
    };

/** One of the four: an IP and a port (stun_binding.h numbers them). */
struct end {
    struct turn_nat_discovery *discovery;
    uint8_t number;
    struct net_address local;
    struct udp_socket *socket; // that sends from here
    struct udp_socket *opened; // the same if it is ours
};

struct turn_nat_discovery {
    struct loop *loop;
    struct udp_memory *memory;
    struct turn_quota *quota;
    struct stun_binding_config binding;
    struct end ends[STUN_BINDING_SOCKETS];
    struct datagram_batch batch;
    metric_value metrics[TURN_NAT_DISCOVERY_METRIC_COUNT];
};

static void count(struct turn_nat_discovery *discovery, enum turn_nat_discovery_metric metric)
{
    metric_add(&discovery->metrics[metric], 1);
}

static void answer(struct end *end, const struct udp_datagram *datagram)
{
    struct turn_nat_discovery *discovery = end->discovery;
    const struct stun_binding_request request = {
        .message = bytes_of(datagram->data, datagram->size),
        .source = datagram->path.remote,
        .socket = end->number,
    };
    if (discovery->quota && !turn_quota_stranger(discovery->quota, &datagram->path.remote,
                                                 loop_now_us(discovery->loop))) {
        count(discovery, TURN_NAT_DISCOVERY_DROPPED_RATE);
        return;
    }
    uint8_t *out = datagram_batch_reserve(&discovery->batch, STUN_BINDING_ANSWER_MAX);
    if (!out) {
        count(discovery, TURN_NAT_DISCOVERY_DROPPED_UNSENT);
        return;
    }
    struct stun_binding_answer sent;
    int result = stun_binding_answer(&discovery->binding, &request, out, &sent);
    if (result < 0) {
        count(discovery, result == -ENOMSG ? TURN_NAT_DISCOVERY_DROPPED_UNEXPECTED
                                           : TURN_NAT_DISCOVERY_DROPPED_MALFORMED);
        return;
    }
    const struct end *from = &discovery->ends[sent.socket];
    const struct net_path path = { .local = from->local, .remote = sent.to };
    datagram_batch_commit(&discovery->batch, &path, sent.size);
    udp_socket_send(from->socket, &discovery->batch);
    count(discovery, TURN_NAT_DISCOVERY_ANSWERED);
}

static void received(void *owner, struct udp_socket *socket unused,
                     const struct udp_datagram *datagrams, size_t datagram_count)
{
    for (size_t i = 0; i < datagram_count; i++)
        answer(owner, &datagrams[i]);
}

bool turn_nat_discovery_input(struct turn_nat_discovery *discovery,
                              const struct udp_datagram *datagram)
{
    for (unsigned i = 0; i < STUN_BINDING_SOCKETS; i += STUN_BINDING_OTHER_IP) {
        if (!net_address_same_ip(&datagram->path.local, &discovery->ends[i].local))
            continue;
        answer(&discovery->ends[i], datagram);
        return true;
    }
    return false;
}

static int open_end(struct turn_nat_discovery *discovery, struct end *end, bool first)
{
    static const struct udp_ops ops = { .received = received };
    const struct udp_config config = {
        .bind = end->local,
        .first_of_port = first,
        .ipv4_only = end->local.family == NET_IPV4,
        .receive_buffer_bytes = SOCKET_BUFFER_BYTES,
        .send_buffer_bytes = SOCKET_BUFFER_BYTES,
        .memory = discovery->memory,
    };
    int error = udp_socket_open(&config, discovery->loop, &ops, end, &end->opened);
    if (error)
        return error;
    end->socket = end->opened;
    end->local.port = udp_socket_port(end->opened);
    return 0;
}

/** Both ends of the second port; 0 means a free one, which must be free on both addresses. */
static int open_second_port(struct turn_nat_discovery *discovery, uint16_t port, bool first)
{
    struct end *near = &discovery->ends[STUN_BINDING_OTHER_PORT];
    struct end *far = &discovery->ends[STUN_BINDING_OTHER_PORT | STUN_BINDING_OTHER_IP];
    for (int tries = 0;; tries++) {
        near->local.port = port;
        int error = open_end(discovery, near, first);
        if (error)
            return error;
        far->local.port = near->local.port;
        error = open_end(discovery, far, first);
        if (error != -EADDRINUSE || port != 0 || tries == FREE_PORT_TRIES)
            return error;
        near->opened = udp_socket_close(near->opened);
    }
}

static int open_ends(struct turn_nat_discovery *discovery,
                     const struct turn_nat_discovery_config *config)
{
    int error = open_second_port(discovery, config->other_port, config->first);
    struct end *other_ip = &discovery->ends[STUN_BINDING_OTHER_IP];
    if (!error && config->socket_is_bound)
        error = open_end(discovery, other_ip, config->first);
    return error;
}

/** What is told to clients: external IPs with the real ports. */
static void set_told(struct turn_nat_discovery *discovery,
                     const struct turn_nat_discovery_config *config)
{
    for (unsigned i = 0; i < STUN_BINDING_SOCKETS; i++) {
        const struct net_address *external = &config->external[i / STUN_BINDING_OTHER_IP];
        struct net_address *told = &discovery->binding.sockets[i];
        *told = external->family == NET_NONE ? discovery->ends[i].local : *external;
        told->port = discovery->ends[i].local.port;
    }
}

int turn_nat_discovery_new(const struct turn_nat_discovery_config *config,
                           struct turn_nat_discovery **ret_discovery)
{
    const struct net_address *addresses = config->addresses;
    if (addresses[0].family == NET_NONE || addresses[0].family != addresses[1].family ||
        net_address_same_ip(&addresses[0], &addresses[1]))
        return -EINVAL;
    struct turn_nat_discovery *discovery = memory_new(struct turn_nat_discovery);
    discovery->loop = config->loop;
    discovery->memory = udp_memory_new();
    discovery->quota = config->quota;
    discovery->binding.discovery = true;
    discovery->binding.software = config->software;
    datagram_batch_init(&discovery->batch, 2 * DATAGRAM_SIZE_MAX, 2);
    for (unsigned i = 0; i < STUN_BINDING_SOCKETS; i++) {
        struct end *end = &discovery->ends[i];
        end->discovery = discovery;
        end->number = (uint8_t)i;
        end->socket = config->socket;
        end->local = addresses[i / STUN_BINDING_OTHER_IP];
        end->local.port = udp_socket_port(config->socket);
    }
    int error = open_ends(discovery, config);
    if (error) {
        turn_nat_discovery_free(discovery);
        return error;
    }
    set_told(discovery, config);
    *ret_discovery = discovery;
    return 0;
}

struct turn_nat_discovery *turn_nat_discovery_free(struct turn_nat_discovery *discovery)
{
    if (!discovery)
        return NULL;
    for (unsigned i = 0; i < STUN_BINDING_SOCKETS; i++)
        udp_socket_close(discovery->ends[i].opened);
    udp_memory_free(discovery->memory);
    datagram_batch_done(&discovery->batch);
    free(discovery);
    return NULL;
}

uint16_t turn_nat_discovery_port(const struct turn_nat_discovery *discovery)
{
    return discovery->ends[STUN_BINDING_OTHER_PORT].local.port;
}

struct metric_set turn_nat_discovery_metrics(const struct turn_nat_discovery *discovery,
                                             const char *labels)
{
    return (struct metric_set){ turn_nat_discovery_metric_descriptions, discovery->metrics,
                                TURN_NAT_DISCOVERY_METRIC_COUNT, labels };
}
