#include "proto/ice/ice_candidate.h"

#include <errno.h>
#include <string.h>

static const char *const type_names[] = {
    [ICE_HOST] = "host",
    [ICE_SERVER_REFLEXIVE] = "srflx",
    [ICE_PEER_REFLEXIVE] = "prflx",
    [ICE_RELAYED] = "relay",
};

static const char *const tcptype_names[] = {
    [ICE_TCP_ACTIVE] = "active",
    [ICE_TCP_PASSIVE] = "passive",
    [ICE_TCP_SIMULTANEOUS] = "so",
};

/** The next word of a line; words are separated by one space, more are tolerated. */
static struct bytes take_word(struct bytes *rest)
{
    *rest = text_trim(*rest);
    return text_take_until(rest, ' ');
}

static struct bytes skip_prefix(struct bytes text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text_starts_with(text, prefix) ? bytes_of(text.data + size, text.size - size) : text;
}

static struct bytes without_line_end(struct bytes line)
{
    while (line.size > 0 && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == '\n'))
        line.size--;
    return text_trim(line);
}

static int parse_number(struct bytes word, uint64_t max, uint64_t *ret_value)
{
    return text_parse_u64(word, max, ret_value) < 0 ? -EINVAL : 0;
}

/** A host name as text: letters, digits, '-', '.', '_'. */
static bool is_name(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
    }
    return word.size > 0;
}

/** An IP or a name; `name` may be NULL where a name means "unknown". */
static int parse_address(struct bytes word, struct net_address *address, char *name)
{
    char text[ICE_NAME_MAX + 1];
    if (word.size == 0 || text_copy(text, sizeof(text), word) < 0)
        return -EINVAL;
    if (net_address_parse_ip(text, 0, address) == 0)
        return 0;
    if (!is_name(word))
        return -EINVAL;
    if (name)
        memcpy(name, text, word.size + 1);
    return 0;
}

static int find_name(struct bytes word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] && text_equal_ignore_case(word, names[i]))
            return (int)i;
    }
    return -EPROTONOSUPPORT;
}

/** RFC 8839 wants ice-chars; any visible ones are harmless and some agents use more. */
static bool is_visible(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '!' || word.data[i] > '~')
            return false;
    }
    return word.size > 0;
}

/** "foundation component transport priority address port typ type". */
static int parse_fixed(struct bytes *rest, struct ice_candidate *candidate, bool *ret_tcp)
{
    struct bytes foundation = take_word(rest);
    if (!is_visible(foundation) ||
        text_copy(candidate->foundation, sizeof(candidate->foundation), foundation) < 0)
        return -EINVAL;
    uint64_t component, priority, port;
    if (parse_number(take_word(rest), 256, &component) < 0 || component == 0)
        return -EINVAL;
    struct bytes transport = take_word(rest);
    if (transport.size == 0)
        return -EINVAL;
    if (parse_number(take_word(rest), UINT32_MAX, &priority) < 0 ||
        parse_address(take_word(rest), &candidate->address, candidate->name) < 0 ||
        parse_number(take_word(rest), UINT16_MAX, &port) < 0)
        return -EINVAL;
    candidate->component = (uint16_t)component;
    candidate->priority = (uint32_t)priority;
    candidate->address.port = (uint16_t)port;
    struct bytes typ = take_word(rest), type = take_word(rest);
    if (!text_equal_ignore_case(typ, "typ") || type.size == 0)
        return -EINVAL;
    *ret_tcp = text_equal_ignore_case(transport, "tcp");
    if (!*ret_tcp && !text_equal_ignore_case(transport, "udp"))
        return -EPROTONOSUPPORT;
    int found = find_name(type, type_names, array_size(type_names));
    if (found < 0)
        return found;
    candidate->type = (enum ice_candidate_type)found;
    return 0;
}

/** Name and value pairs behind the type; those that we do not know are skipped. */
static int parse_extensions(struct bytes rest, struct ice_candidate *candidate, bool tcp)
{
    bool has_tcptype = false;
    for (struct bytes name = take_word(&rest); name.size > 0; name = take_word(&rest)) {
        struct bytes value = take_word(&rest);
        uint64_t port;
        if (text_equal(name, "raddr")) {
            uint16_t known_port = candidate->related.port;
            if (parse_address(value, &candidate->related, NULL) < 0)
                return -EINVAL;
            candidate->related.port = known_port;
        } else if (text_equal(name, "rport")) {
            if (parse_number(value, UINT16_MAX, &port) < 0)
                return -EINVAL;
            candidate->related.port = (uint16_t)port;
        } else if (text_equal(name, "tcptype") && tcp) {
            int found = find_name(value, tcptype_names, array_size(tcptype_names));
            if (found < 0)
                return -EINVAL;
            candidate->transport = (enum ice_transport)found;
            has_tcptype = true;
        }
    }
    if (candidate->related.family == NET_NONE)
        candidate->related = (struct net_address){ 0 };
    // RFC 6544, section 4.5: the type of a TCP candidate must be there
    return tcp && !has_tcptype ? -EINVAL : 0;
}

int ice_candidate_parse(struct bytes line, struct ice_candidate *ret_candidate)
{
    line = skip_prefix(skip_prefix(without_line_end(line), "a="), "candidate:");
    struct ice_candidate candidate = { .transport = ICE_UDP };
    bool tcp;
    int error = parse_fixed(&line, &candidate, &tcp);
    if (error == 0)
        error = parse_extensions(line, &candidate, tcp);
    if (error < 0)
        return error;
    *ret_candidate = candidate;
    return 0;
}

void ice_candidate_write(const struct ice_candidate *candidate, struct text_builder *out)
{
    char ip[NET_ADDRESS_TEXT_MAX];
    text_append_format(
        out, "candidate:%s %u %s %u %s %u typ %s", candidate->foundation, candidate->component,
        candidate->transport == ICE_UDP ? "udp" : "tcp", candidate->priority,
        ice_candidate_is_named(candidate) ? candidate->name
                                          : net_address_format_ip(&candidate->address, ip),
        candidate->address.port, type_names[candidate->type]);
    if (candidate->related.family != NET_NONE)
        text_append_format(out, " raddr %s rport %u",
                           net_address_format_ip(&candidate->related, ip), candidate->related.port);
    if (candidate->transport != ICE_UDP)
        text_append_format(out, " tcptype %s", tcptype_names[candidate->transport]);
}

uint32_t ice_type_preference(enum ice_candidate_type type)
{
    static const uint32_t preferences[] = {
        [ICE_HOST] = 126,
        [ICE_SERVER_REFLEXIVE] = 100,
        [ICE_PEER_REFLEXIVE] = 110,
        [ICE_RELAYED] = 0,
    };
    return preferences[type];
}

uint32_t ice_priority(enum ice_candidate_type type, uint16_t local_preference, uint16_t component)
{
    return ice_type_preference(type) << 24 | (uint32_t)local_preference << 8 | (256u - component);
}

uint64_t ice_pair_priority(uint32_t controlling, uint32_t controlled)
{
    uint64_t g = controlling, d = controlled;
    return (min_of(g, d) << 32) + 2 * max_of(g, d) + (g > d ? 1 : 0);
}

/** Equal for candidates of one address and transport (section 5.1.1.3). */
static void set_foundation(struct ice_candidate *candidate)
{
    // FNV-1a of the IP: equal for equal bases, different else as good as always
    uint32_t hash = candidate->transport == ICE_UDP ? 2166136261u : 2166136262u;
    for (size_t i = 0; i < sizeof(candidate->address.ip); i++)
        hash = (hash ^ candidate->address.ip[i]) * 16777619u;
    struct text_builder foundation =
        text_builder_of(candidate->foundation, sizeof(candidate->foundation));
    text_append_format(&foundation, "%u", hash);
}

struct ice_candidate ice_candidate_host(const struct net_address *address,
                                        uint16_t local_preference)
{
    struct ice_candidate candidate = {
        .type = ICE_HOST,
        .transport = ICE_UDP,
        .component = 1,
        .priority = ice_priority(ICE_HOST, local_preference, 1),
        .address = *address,
    };
    set_foundation(&candidate);
    return candidate;
}

struct ice_candidate ice_candidate_tcp_host(const struct net_address *address,
                                            uint16_t other_preference)
{
    struct ice_candidate candidate = ice_candidate_host(
        address, (uint16_t)(4u << 13 | min_of(other_preference, (uint16_t)8191)));
    candidate.transport = ICE_TCP_PASSIVE;
    set_foundation(&candidate);
    return candidate;
}
