#include "signal/mqtt/mqtt_bridge_file.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/memory.h"
#include "proto/mqtt/mqtt_topic.h"

#define NAME_MAX_SIZE 64

/** ---- values ---- */

enum value_kind {
    VALUE_TEXT,
    VALUE_FLAG, /**< true or false */
    VALUE_NOT,  /**< the same, turned around */
    VALUE_NUMBER,
    VALUE_SPECIAL,  /**< `take` */
    VALUE_ACCEPTED, /**< only what it would be anyway: `hint` */
    VALUE_REFUSED,  /**< `hint` says why */
};

struct directive {
    const char *name;
    enum value_kind kind;
    size_t offset; /**< of the field */
    uint32_t least, most;
    const char *(*take)(struct mqtt_bridge_spec *spec, struct bytes value);
    const char *hint;
};

/**
 * The next word, or what stands between quotes; false: the line ends. What begins with a quote that
 * has no end comes with its quote, as no other word does.
 */
static bool take_word(struct bytes *rest, struct bytes *ret_word)
{
    *rest = text_trim(*rest);
    if (rest->size == 0)
        return false;
    if (rest->data[0] == '"') {
        struct bytes after = bytes_of(rest->data + 1, rest->size - 1);
        struct bytes inside = text_take_until(&after, '"');
        *ret_word = after.data ? inside : *rest;
        *rest = after;
        return true;
    }
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\t')
        size++;
    *ret_word = bytes_of(rest->data, size);
    *rest = bytes_of(rest->data + size, rest->size - size);
    return true;
}

static void set_text(char **field, struct bytes value)
{
    if (*field)
        memory_wipe(*field, strlen(*field));
    free(*field);
    *field = memory_copy(value.data, value.size);
}

/** ---- what is particular ---- */

static const char *take_address(struct mqtt_bridge_spec *spec, struct bytes text)
{
    if (spec->address_count == MQTT_BRIDGE_ADDRESSES_MAX)
        return "there are too many addresses";
    struct bytes host = text, port = bytes_of(NULL, 0);
    // a word in quotes may be empty
    if (text_starts_with(text, "[")) {
        port = bytes_of(text.data + 1, text.size - 1);
        host = text_take_until(&port, ']');
        if (port.size > 0 && port.data[0] == ':')
            port = bytes_of(port.data + 1, port.size - 1);
        else if (port.size > 0 || !port.data)
            return "an address is HOST, HOST:PORT or [IPV6]:PORT";
    } else {
        struct bytes rest = text, first = text_take_until(&rest, ':');
        // more than one colon: an IPv6 address without a port
        if (rest.data && !memchr(rest.data, ':', rest.size)) {
            host = first;
            port = rest;
        }
    }
    uint64_t number = 0;
    if (port.size > 0 && (text_parse_u64(port, UINT16_MAX, &number) < 0 || number == 0))
        return "a port is a number from 1 to 65535";
    if (host.size == 0 || host.size > 253)
        return "an address is HOST, HOST:PORT or [IPV6]:PORT";
    spec->addresses[spec->address_count++] =
        (struct mqtt_bridge_address){ .host = memory_copy(host.data, host.size),
                                      .port = (uint16_t)number };
    return NULL;
}

static const char *take_addresses(struct mqtt_bridge_spec *spec, struct bytes value)
{
    struct bytes word;
    const char *problem = NULL;
    while (!problem && take_word(&value, &word))
        problem = take_address(spec, word);
    return problem;
}

static bool take_direction(struct bytes word, enum bridge_direction *ret_direction)
{
    if (text_equal(word, "out"))
        *ret_direction = BRIDGE_OUT;
    else if (text_equal(word, "in"))
        *ret_direction = BRIDGE_IN;
    else if (text_equal(word, "both"))
        *ret_direction = BRIDGE_BOTH;
    else
        return false;
    return true;
}

/** topic PATTERN [out|in|both [QOS [LOCAL_PREFIX [REMOTE_PREFIX]]]] */
static const char *take_topic(struct mqtt_bridge_spec *spec, struct bytes value)
{
    struct bytes pattern, word, prefixes[2] = { { 0 }, { 0 } };
    enum bridge_direction direction = BRIDGE_OUT;
    uint64_t qos = 0;
    if (!take_word(&value, &pattern))
        return "behind topic stands a pattern, such as sensors/#";
    if (take_word(&value, &word) && !take_direction(word, &direction))
        return "behind the pattern stands out, in or both";
    if (take_word(&value, &word) && text_parse_u64(word, 2, &qos) < 0)
        return "behind the direction stands a QoS: 0, 1 or 2";
    for (size_t i = 0; i < 2; i++)
        take_word(&value, &prefixes[i]);
    if (take_word(&value, &word))
        return "there is more behind the remote prefix: quote what has spaces";
    return bridge_topics_add(&spec->topics, direction, (uint8_t)qos, pattern, prefixes[0],
                             prefixes[1]);
}

static const char *take_protocol(struct mqtt_bridge_spec *spec, struct bytes value)
{
    if (text_equal(value, "auto"))
        spec->protocol = BRIDGE_PROTOCOL_AUTO;
    else if (text_equal(value, "mqttv50"))
        spec->protocol = BRIDGE_PROTOCOL_5;
    else if (text_equal(value, "mqttv311"))
        spec->protocol = BRIDGE_PROTOCOL_3_1_1;
    else
        return "it is auto, mqttv50 or mqttv311";
    return NULL;
}

/** restart_timeout BASE [LONGEST] */
static const char *take_restart(struct mqtt_bridge_spec *spec, struct bytes value)
{
    struct bytes word;
    uint64_t base, longest;
    if (!take_word(&value, &word) || text_parse_u64(word, 86400, &base) < 0 || base == 0)
        return "it is a number of seconds, and maybe a second, the longest";
    longest = max_of(base, (uint64_t)30);
    if (take_word(&value, &word) && (text_parse_u64(word, 86400, &longest) < 0 || longest < base))
        return "the longest pause is not shorter than the first";
    spec->restart_min_s = (uint32_t)base;
    spec->restart_max_s = (uint32_t)longest;
    return NULL;
}

/** ---- the table ---- */

#define AT(field) .offset = offsetof(struct mqtt_bridge_spec, field)

static const struct directive directives[] = {
    { "address", VALUE_SPECIAL, .take = take_addresses },
    { "addresses", VALUE_SPECIAL, .take = take_addresses },
    { "topic", VALUE_SPECIAL, .take = take_topic },
    { "remote_clientid", VALUE_TEXT, AT(client_id) },
    { "remote_username", VALUE_TEXT, AT(user) },
    { "remote_password", VALUE_TEXT, AT(password) },
    { "remote_password_file", VALUE_TEXT, AT(password_file) },
    { "remote_password_env", VALUE_TEXT, AT(password_variable) },
    { "bridge_cafile", VALUE_TEXT, AT(ca_file) },
    { "bridge_tls_use_os_certs", VALUE_FLAG, AT(system_authorities) },
    { "bridge_certfile", VALUE_TEXT, AT(certificate_file) },
    { "bridge_keyfile", VALUE_TEXT, AT(key_file) },
    { "bridge_alpn", VALUE_TEXT, AT(alpn) },
    { "bridge_plain_password", VALUE_FLAG, AT(plain) },
    { "bridge_protocol_version", VALUE_SPECIAL, .take = take_protocol },
    { "try_private", VALUE_NOT, AT(no_bridge_bit) },
    { "cleansession", VALUE_FLAG, AT(clean) },
    { "keepalive_interval", VALUE_NUMBER, AT(keep_alive_s), 5, UINT16_MAX },
    { "restart_timeout", VALUE_SPECIAL, .take = take_restart },
    { "notifications", VALUE_NOT, AT(no_notifications) },
    { "notifications_local_only", VALUE_FLAG, AT(notify_here_only) },
    { "notification_topic", VALUE_TEXT, AT(notification_topic) },
    { "bridge_outgoing_retain", VALUE_NOT, AT(drop_retain) },
    { "bridge_receive_maximum", VALUE_NUMBER, AT(receive_max), 1, UINT16_MAX },
    { "bridge_session_expiry_interval", VALUE_NUMBER, AT(session_expiry_s), 1, UINT32_MAX },
    { "max_queued_messages", VALUE_NUMBER, AT(queue_count_max), 1, 10000000 },
    { "max_queued_bytes", VALUE_NUMBER, AT(queue_bytes_max), 1024, 1u << 30 },
    { "start_type", VALUE_ACCEPTED, .hint = "automatic" },
    { "bridge_insecure", VALUE_REFUSED,
      .hint = "names are always checked: give bridge_cafile the certificate that the other broker "
              "shows, and an address that it is for" },
    { "bridge_capath", VALUE_REFUSED, .hint = "give bridge_cafile one file with all of them" },
    { "local_username", VALUE_REFUSED, .hint = "a bridge needs no login here" },
    { "local_password", VALUE_REFUSED, .hint = "a bridge needs no login here" },
    { "round_robin", VALUE_ACCEPTED, .hint = "false" },
};

static const struct directive *find(struct bytes name)
{
    for (size_t i = 0; i < array_size(directives); i++) {
        if (text_equal(name, directives[i].name))
            return &directives[i];
    }
    return NULL;
}

static bool has_open_quote(struct bytes line)
{
    struct bytes word;
    while (take_word(&line, &word)) {
        if (word.size > 0 && word.data[0] == '"')
            return true;
    }
    return false;
}

static const char *take(struct mqtt_bridge_spec *spec, const struct directive *directive,
                        struct bytes value)
{
    void *field = (char *)spec + directive->offset;
    uint64_t number;
    bool yes = text_equal(value, "true");
    if (directive->kind == VALUE_REFUSED)
        return directive->hint;
    if (value.size == 0)
        return "it has no value";
    switch (directive->kind) {
    case VALUE_TEXT:
        set_text(field, value);
        return NULL;
    case VALUE_FLAG:
    case VALUE_NOT:
        if (!yes && !text_equal(value, "false"))
            return "it is true or false";
        *(bool *)field = yes == (directive->kind == VALUE_FLAG);
        return NULL;
    case VALUE_NUMBER:
        if (text_parse_u64(value, directive->most, &number) < 0 || number < directive->least)
            return "the number is out of range";
        *(uint32_t *)field = (uint32_t)number;
        return NULL;
    case VALUE_ACCEPTED:
        return text_equal(value, directive->hint) ? NULL : "nothing else is there";
    default:
        return has_open_quote(value) ? "a quote has no end" : directive->take(spec, value);
    }
}

/** ---- a whole bridge ---- */

// passwords are among the parts: a digest keeps none of them
void mqtt_bridge_spec_identify(struct mqtt_bridge_spec *spec, struct bytes part)
{
    struct hash hash;
    hash_begin(&hash, HASH_SHA256);
    hash_add(&hash, bytes_of(spec->identity, sizeof(spec->identity)));
    hash_add(&hash, part);
    hash_end(&hash, spec->identity);
}

bool mqtt_bridge_spec_has_tls(const struct mqtt_bridge_spec *spec)
{
    return spec->ca_file || spec->system_authorities || spec->certificate_file || spec->alpn;
}

static bool is_here(const char *host)
{
    struct net_address address;
    return strcmp(host, "localhost") == 0 ||
           (net_address_parse_ip(host, 0, &address) == 0 && net_address_is_loopback(&address));
}

static const char *check(const struct mqtt_bridge_spec *spec)
{
    bool has_password = spec->password || spec->password_file || spec->password_variable;
    bool all_here = true;
    for (size_t i = 0; i < spec->address_count; i++)
        all_here &= is_here(spec->addresses[i].host);
    if (spec->address_count == 0)
        return "it has no address";
    if (spec->topics.count == 0)
        return "it has no topic";
    if (!spec->certificate_file != !spec->key_file)
        return "bridge_certfile and bridge_keyfile go together";
    if (has_password && !spec->user)
        return "a password needs a remote_username";
    if (has_password && !mqtt_bridge_spec_has_tls(spec) && !all_here && !spec->plain)
        return "its password would cross the network as it is: use TLS (bridge_cafile, or "
               "bridge_tls_use_os_certs true), or say bridge_plain_password true";
    if (spec->notification_topic && !mqtt_topic_is_valid(bytes_of_text(spec->notification_topic)))
        return "its notification_topic is no topic";
    return NULL;
}

static const char *begin_bridge(struct mqtt_bridge_specs *specs, struct bytes name)
{
    static const char *const letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    for (size_t i = 0; i < name.size; i++) {
        if (!strchr(letters, name.data[i]) || name.data[i] == '\0')
            return "a name has letters, digits, \".\", \"_\" and \"-\"";
    }
    if (name.size == 0 || name.size > NAME_MAX_SIZE)
        return "behind connection stands a name of 1 to 64 letters";
    for (size_t i = 0; i < specs->count; i++) {
        if (text_equal(name, specs->items[i].name))
            return "there is another connection of that name";
    }
    if (specs->count == MQTT_BRIDGES_MAX)
        return "there are too many of them";
    specs->items = memory_resize(specs->items, (specs->count + 1) * sizeof(*specs->items));
    specs->items[specs->count++] =
        (struct mqtt_bridge_spec){ .name = memory_copy(name.data, name.size) };
    return NULL;
}

static const char *take_line(struct mqtt_bridge_specs *specs, struct bytes line)
{
    struct bytes name;
    if (!take_word(&line, &name) || text_starts_with(name, "#"))
        return NULL;
    line = text_trim(line);
    if (!text_is_utf8(line) || (line.size > 0 && memchr(line.data, '\0', line.size)))
        return "it is no text";
    if (text_equal(name, "connection"))
        return begin_bridge(specs, line);
    const struct directive *directive = find(name);
    if (!directive)
        return "it begins with a word that is not known here";
    if (specs->count == 0)
        return "a bridge begins with connection NAME";
    struct mqtt_bridge_spec *spec = &specs->items[specs->count - 1];
    mqtt_bridge_spec_identify(spec, name);
    mqtt_bridge_spec_identify(spec, line);
    return take(spec, directive, line);
}

int mqtt_bridge_specs_parse(struct bytes text, struct mqtt_bridge_specs *ret_specs,
                            struct text_builder *ret_problem)
{
    struct mqtt_bridge_specs specs = { 0 };
    for (size_t number = 1; text.data; number++) {
        struct bytes line = text_take_until(&text, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        const char *problem = take_line(&specs, line);
        if (problem) {
            text_append_format(ret_problem, "line %zu: %s", number, problem);
            mqtt_bridge_specs_done(&specs);
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < specs.count; i++) {
        const char *problem = check(&specs.items[i]);
        if (problem) {
            text_append_format(ret_problem, "connection %s: %s", specs.items[i].name, problem);
            mqtt_bridge_specs_done(&specs);
            return -EINVAL;
        }
    }
    *ret_specs = specs;
    return 0;
}

/** ---- the end ---- */

void mqtt_bridge_spec_done(struct mqtt_bridge_spec *spec)
{
    if (spec->password)
        memory_wipe(spec->password, strlen(spec->password));
    char *texts[] = { spec->name,
                      spec->password,
                      spec->client_id,
                      spec->user,
                      spec->password_file,
                      spec->password_variable,
                      spec->notification_topic,
                      spec->ca_file,
                      spec->certificate_file,
                      spec->key_file,
                      spec->alpn };
    for (size_t i = 0; i < array_size(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < spec->address_count; i++)
        free(spec->addresses[i].host);
    bridge_topics_done(&spec->topics);
    tls_client_context_unref(spec->tls);
    *spec = (struct mqtt_bridge_spec){ 0 };
}

void mqtt_bridge_specs_done(struct mqtt_bridge_specs *specs)
{
    for (size_t i = 0; i < specs->count; i++)
        mqtt_bridge_spec_done(&specs->items[i]);
    free(specs->items);
    *specs = (struct mqtt_bridge_specs){ 0 };
}
