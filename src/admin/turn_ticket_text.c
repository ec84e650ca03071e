#include "admin/turn_ticket_text.h"

static void write_urls(struct json_text *json, const char *const *urls, size_t count)
{
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_text_string(json, urls[i]);
    json_text_close(json, ']');
}

static void write_text(struct json_text *json, const char *key, const char *value)
{
    json_text_key(json, key);
    json_text_string(json, value);
}

static void write_servers(const struct turn_ticket *ticket, struct json_text *json)
{
    json_text_open(json, '[');
    if (ticket->stun_url) {
        json_text_open(json, '{');
        json_text_key(json, "urls");
        write_urls(json, &ticket->stun_url, 1);
        json_text_close(json, '}');
    }
    if (ticket->url_count > 0) {
        json_text_open(json, '{');
        json_text_key(json, "urls");
        write_urls(json, ticket->urls, ticket->url_count);
        write_text(json, "username", ticket->username);
        write_text(json, "credential", ticket->password);
        json_text_close(json, '}');
    }
    json_text_close(json, ']');
}

void turn_ticket_write(const struct turn_ticket *ticket, struct json_text *json)
{
    json_text_open(json, '{');
    json_text_key(json, "iceServers");
    write_servers(ticket, json);
    char duration[24];
    struct text_builder builder = text_builder_of(duration, sizeof(duration));
    text_append_format(&builder, "%us", ticket->lifetime_s);
    write_text(json, "lifetimeDuration", duration);
    json_text_key(json, "ttl");
    json_text_number(json, ticket->lifetime_s);
    write_text(json, "username", ticket->username);
    write_text(json, "password", ticket->password);
    json_text_key(json, "uris");
    write_urls(json, ticket->urls, ticket->url_count);
    json_text_close(json, '}');
}
