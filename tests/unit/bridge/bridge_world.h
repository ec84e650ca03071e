/**
 * Two brokers and a bridge between them: `here` is ours, whose client the bridge is, `there` the
 * other, to which it connects. Packets cross one by one, so that a test can end the connection, or
 * either process, before each of them.
 */
#pragma once

#include "unit/broker/broker_world.h"

#include "bridge/bridge.h"

enum fault {
    FAULT_NONE,
    FAULT_CUT,         /**< the connection is lost */
    FAULT_CRASH_HERE,  /**< our process dies, with the bridge */
    FAULT_CRASH_THERE, /**< the other one dies */
};

struct bridge_world {
    struct world here;
    struct world there;
    struct bridge_config config;
    struct bridge *bridge;
    struct device link; /**< at the other broker; its client is NULL while not connected */
    bool unreachable;   /**< nobody answers */
    unsigned steps;     /**< packets that crossed */
    enum fault fault;   /**< happens before the packet with the number `fault_at` */
    unsigned fault_at;
    unsigned calls;
};

static inline void link_forget(struct bridge_world *world)
{
    free(world->link.arrived);
    free(world->link.unread);
    world->link = (struct device){ 0 };
}

static inline void link_cut(struct bridge_world *world)
{
    if (world->link.client)
        device_lose(&world->link);
    link_forget(world);
    bridge_lost(world->bridge, world->here.now_us);
}

/** The inner client's turn in world_run. */
static inline bool serve_bridge(struct world *here, struct broker_client *client)
{
    struct bridge_world *world = container_of(here, struct bridge_world, here);
    if (broker_client_socket(client) != world)
        return false;
    bridge_run(world->bridge, here->now_us);
    return true;
}

static inline void bridge_begin(struct bridge_world *world)
{
    world->config.broker = world->here.broker;
    world->config.random = &world->here.random;
    world->config.socket = world;
    world->bridge = bridge_new(&world->config, world->here.now_us);
}

/** Both brokers; rules are added to `config` before bridge_begin. */
static inline void bridge_world_init_with(struct bridge_world *world,
                                          const struct broker_config *here)
{
    *world = (struct bridge_world){ 0 };
    world_init(&world->here, here);
    world_init(&world->there, &(struct broker_config){ .journal = true });
    world->here.serve = serve_bridge;
    world->config.name = "west";
    world->config.client_id = "roost.west";
}

static inline void bridge_world_init(struct bridge_world *world)
{
    bridge_world_init_with(world, &(struct broker_config){ .journal = true });
}

static inline void bridge_rule(struct bridge_world *world, const char *pattern,
                               enum bridge_direction direction, uint8_t qos,
                               const char *local_prefix, const char *remote_prefix)
{
    assert_null(bridge_topics_add(&world->config.topics, direction, qos, bytes_of_text(pattern),
                                  bytes_of_text(local_prefix), bytes_of_text(remote_prefix)));
}

static inline void bridge_world_done(struct bridge_world *world)
{
    if (world->link.client)
        device_lose(&world->link);
    link_forget(world);
    bridge_free(world->bridge, world->here.now_us);
    bridge_topics_done(&world->config.topics);
    world_done(&world->here);
    world_done(&world->there);
}

/** Both processes of a crash find what is on their disks. */
static inline void crash_here(struct bridge_world *world)
{
    // what is on its way to the disk is lost with the process
    world->here.disk_waits = true;
    link_cut(world);
    world->bridge = bridge_free(world->bridge, world->here.now_us);
    world->here.disk_waits = false;
    world_crash(&world->here);
    bridge_begin(world);
}

static inline void crash_there(struct bridge_world *world)
{
    world_crash(&world->there);
    world->link.client = NULL;
    link_cut(world);
}

/** Before a packet crosses. True: the fault has struck, and it does not. */
static inline bool strikes(struct bridge_world *world)
{
    if (world->fault == FAULT_NONE || world->steps++ != world->fault_at)
        return false;
    enum fault fault = world->fault;
    world->fault = FAULT_NONE;
    if (fault == FAULT_CUT)
        link_cut(world);
    else if (fault == FAULT_CRASH_HERE)
        crash_here(world);
    else
        crash_there(world);
    return true;
}

static inline struct bytes first_packet(struct bytes bytes)
{
    struct mqtt_frame frame;
    assert_int_equal(mqtt_frame_read(bytes, MQTT_PACKET_SIZE_MAX, &frame), 0);
    return bytes_of(bytes.data, frame.size);
}

/** One packet of the bridge to the other broker. */
static inline bool cross_there(struct bridge_world *world)
{
    struct bytes output = bridge_output(world->bridge);
    if (output.size == 0 || !world->link.client)
        return false;
    if (strikes(world))
        return true;
    output = first_packet(bridge_output(world->bridge));
    uint8_t *packet = memory_copy(output.data, output.size);
    bridge_sent(world->bridge, output.size);
    device_send(&world->link, bytes_of(packet, output.size));
    free(packet);
    return true;
}

/** One packet of the other broker to the bridge. */
static inline bool cross_here(struct bridge_world *world)
{
    struct device *link = &world->link;
    if (link->arrived_at == link->arrived_size || bridge_is_busy(world->bridge))
        return false;
    if (strikes(world))
        return true;
    struct bytes packet = first_packet(
        bytes_of(link->arrived + link->arrived_at, link->arrived_size - link->arrived_at));
    link->arrived_at += packet.size;
    size_t taken = bridge_input(world->bridge, world->here.now_us, packet);
    assert_int_equal(taken, packet.size);
    return true;
}

static inline bool call(struct bridge_world *world)
{
    if (bridge_state(world->bridge) != BRIDGE_CALLING)
        return false;
    world->calls++;
    if (world->unreachable) {
        bridge_lost(world->bridge, world->here.now_us);
        return true;
    }
    device_open(&world->there, &world->link, MQTT_5);
    bridge_connected(world->bridge, world->here.now_us);
    return true;
}

/** Ends a connection that either side has ended, when all that was to be said is said. */
static inline bool hang_up(struct bridge_world *world)
{
    enum bridge_state state = bridge_state(world->bridge);
    bool is_open = state == BRIDGE_GREETING || state == BRIDGE_UP || state == BRIDGE_CLOSING;
    bool heard_all = world->link.arrived_at == world->link.arrived_size;
    bool said_all = bridge_output(world->bridge).size == 0;
    if (!is_open || !(world->link.client ? state == BRIDGE_CLOSING && said_all : heard_all))
        return false;
    link_cut(world);
    return true;
}

/** Until nothing moves any more. */
static inline void bridge_pump(struct bridge_world *world)
{
    bool moved;
    do {
        world_run(&world->here);
        world_run(&world->there);
        moved = cross_there(world) || cross_here(world) || hang_up(world) || call(world);
    } while (moved);
}

/** Time goes on for all. */
static inline void bridge_wait(struct bridge_world *world, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        world_wait(&world->here, 1);
        world_wait(&world->there, 1);
        bridge_tick(world->bridge, world->here.now_us);
        bridge_pump(world);
    }
}

/** Connected, or fails. */
static inline void bridge_up(struct bridge_world *world)
{
    bridge_pump(world);
    for (unsigned i = 0; bridge_state(world->bridge) != BRIDGE_UP && i < 120; i++)
        bridge_wait(world, 1);
    assert_int_equal(bridge_state(world->bridge), BRIDGE_UP);
    bridge_pump(world);
}

static inline uint64_t bridge_metric(const struct bridge_world *world, enum bridge_metric metric)
{
    return metric_get(&bridge_metrics(world->bridge).values[metric]);
}
