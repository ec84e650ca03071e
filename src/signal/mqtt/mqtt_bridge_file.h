/**
 * The file of bridges to other brokers (mqtt.bridges), in the words of Mosquitto's configuration:
 *
 *     connection cloud
 *     address broker.example:8883
 *     bridge_cafile /etc/roost/cloud-ca.pem
 *     remote_username roost
 *     remote_password_file /etc/roost/cloud.password
 *     topic sensors/# out 1
 *     topic # in 1 cloud/ site1/
 *
 * docs/mqtt.md has all of them. What is not known is refused, so that nothing is left out silently.
 */
#pragma once

#include "base/bytes.h"
#include "base/text.h"
#include "bridge/bridge.h"
#include "crypto/hash.h"
#include "crypto/tls.h"

#define MQTT_BRIDGES_MAX          64
#define MQTT_BRIDGE_ADDRESSES_MAX 8

struct mqtt_bridge_address {
    char *host;    /**< a name, or an address in text */
    uint16_t port; /**< 0: 8883 with TLS, else 1883 */
};

/** One bridge as the file has it. Texts are NULL where it says nothing. */
struct mqtt_bridge_spec {
    char *name;
    struct mqtt_bridge_address addresses[MQTT_BRIDGE_ADDRESSES_MAX];
    size_t address_count;
    struct bridge_topics topics;
    char *client_id;
    char *user;
    char *password; /**< secret */
    char *password_file;
    char *password_variable;
    char *notification_topic;
    char *ca_file;
    char *certificate_file;
    char *key_file;
    char *alpn;
    bool system_authorities;
    bool plain; /**< a password may cross the network as it is */
    bool clean;
    bool no_notifications;
    bool notify_here_only;
    bool no_bridge_bit;
    bool drop_retain;
    enum bridge_protocol protocol;
    uint32_t keep_alive_s;
    uint32_t session_expiry_s;
    uint32_t receive_max;
    uint32_t restart_min_s;
    uint32_t restart_max_s;
    uint32_t queue_count_max;
    uint32_t queue_bytes_max;
    /** ---- what was loaded ---- */
    struct tls_client_context *tls; /**< NULL: no TLS */
    /** A digest of the lines and of the content of files: another one is another bridge. */
    uint8_t identity[HASH_SHA256_SIZE];
};

struct mqtt_bridge_specs {
    struct mqtt_bridge_spec *items;
    size_t count;
};

/**
 * Reads the text of the file. Returns 0, or -EINVAL with a sentence that names the line, and
 * nothing to free.
 */
must_check int mqtt_bridge_specs_parse(struct bytes text, struct mqtt_bridge_specs *ret_specs,
                                       struct text_builder *ret_problem);
/**
 * Reads the files and variables that they name, and prepares TLS; blocks. Returns 0, or a negative
 * errno with a sentence.
 */
must_check int mqtt_bridge_specs_load(struct mqtt_bridge_specs *specs,
                                      struct text_builder *ret_problem);
/** What follows is a part of what the bridge is. */
void mqtt_bridge_spec_identify(struct mqtt_bridge_spec *spec, struct bytes part);
/** Whether the bridge connects over TLS. */
bool mqtt_bridge_spec_has_tls(const struct mqtt_bridge_spec *spec);
/** Accepts a zeroed struct. */
void mqtt_bridge_specs_done(struct mqtt_bridge_specs *specs);
/** Frees what one bridge holds, and zeroes it. */
void mqtt_bridge_spec_done(struct mqtt_bridge_spec *spec);
