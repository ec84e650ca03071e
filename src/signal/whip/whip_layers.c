// The layer extension of WHEP (urn:ietf:params:whep:ext:core:layer): what there is to choose from,
// and a viewer's choice.
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "signal/whip/whip_int.h"

/** A layer's name, for viewers to give back; older players read `encodingId`. */
static json_t *layer_json(const struct media_layer *layer, int number)
{
    char name[2] = { (char)('0' + number), '\0' };
    json_t *json = json_pack("{s:s,s:s,s:I}", "rid", name, "encodingId", name, "bitrate",
                             (json_int_t)layer->bitrate_bps);
    if (layer->width > 0) {
        json_object_set_new(json, "width", json_integer(layer->width));
        json_object_set_new(json, "height", json_integer(layer->height));
    }
    return json;
}

char *whip_layers_text(const struct whip_session *session)
{
    json_t *json = json_object();
    const struct room_slots *slots = &session->member->slots;
    for (size_t i = 0; i < slots->count; i++) {
        const struct room_slot *slot = &slots->items[i];
        if (slot->kind != MEDIA_VIDEO)
            continue;
        json_t *layers = json_array();
        // best first, as in the draft's examples
        for (int l = MEDIA_LAYERS_MAX - 1; slot->filled_by && l >= 0; l--) {
            if (slot->filled_by->layers[l].sent)
                json_array_append_new(layers, layer_json(&slot->filled_by->layers[l], l));
        }
        char section[8];
        struct text_builder name = text_builder_of(section, sizeof(section));
        text_append_format(&name, "%u", (unsigned)slot->section);
        json_object_set_new(json, section, layers);
    }
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    ensure(text);
    return text;
}

void whip_layers_get(struct http_exchange *exchange, void *owner)
{
    const struct whip_session *session = whip_session_of(exchange, owner);
    if (!session)
        return;
    char *text = whip_layers_text(session);
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond(exchange, 200, "application/json", bytes_of_text(text));
    free(text);
}

/** A text or a whole number that is not negative; -EINVAL when it is neither. */
static int read_number(const json_t *value, int otherwise, int *ret_number)
{
    if (!value || json_is_null(value)) {
        *ret_number = otherwise;
        return 0;
    }
    uint64_t number;
    if (json_is_string(value)) {
        struct bytes text = bytes_of(json_string_value(value), json_string_length(value));
        if (text_parse_u64(text, UINT16_MAX, &number) < 0)
            return -EINVAL;
    } else {
        json_int_t integer = json_is_integer(value) ? json_integer_value(value) : -1;
        if (integer < 0 || integer > UINT16_MAX)
            return -EINVAL;
        number = (uint64_t)integer;
    }
    *ret_number = (int)number;
    return 0;
}

int whip_choice_read(struct bytes body, struct whip_choice *ret_choice)
{
    json_t *json =
        body.size > 0 ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL)
                      : NULL;
    const json_t *rid = json_object_get(json, "rid");
    const json_t *paused = json_object_get(json, "paused");
    *ret_choice = (struct whip_choice){ .paused = json_is_true(paused) };
    int result = json_is_object(json) && (!paused || json_is_boolean(paused)) ? 0 : -EINVAL;
    if (result == 0)
        result = read_number(json_object_get(json, "mediaId"), -1, &ret_choice->section);
    if (result == 0)
        result =
            read_number(rid ? rid : json_object_get(json, "encodingId"), -1, &ret_choice->layer);
    if (result == 0)
        result = read_number(json_object_get(json, "maxWidth"), 0, &ret_choice->width);
    if (result == 0)
        result = read_number(json_object_get(json, "maxHeight"), 0, &ret_choice->height);
    json_decref(json);
    return ret_choice->layer < MEDIA_LAYERS_MAX ? result : -EINVAL;
}

/** How many of the layers fit; at least one. 0: nobody knows yet how large they are. */
static uint8_t count_fitting(const struct room_slot *slot, const struct whip_choice *choice)
{
    uint8_t count = 0;
    for (uint8_t i = 0; slot->filled_by && i < MEDIA_LAYERS_MAX; i++) {
        const struct media_layer *layer = &slot->filled_by->layers[i];
        bool fits = (choice->width == 0 || layer->width <= choice->width) &&
                    (choice->height == 0 || layer->height <= choice->height);
        if (layer->width > 0 && (fits || count == 0))
            count = (uint8_t)(i + 1);
    }
    return count;
}

static struct media_wish wish_of(const struct room_slot *slot, const struct whip_choice *choice)
{
    struct media_wish wish = MEDIA_WISH_DEFAULT;
    wish.paused = choice->paused;
    wish.detail = slot->filled_by && room_publication_is_read(slot->filled_by);
    if (choice->layer >= 0)
        wish.layers = (uint8_t)(choice->layer + 1);
    else if (choice->width > 0 || choice->height > 0)
        wish.layers = count_fitting(slot, choice);
    // for what is shown later, or is not known yet: about as large
    if (choice->width > 0 && choice->height > 0) {
        wish.width = (uint16_t)choice->width;
        wish.height = (uint16_t)choice->height;
    }
    return wish;
}

void whip_layers_choose(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = whip_session_of(exchange, endpoint);
    if (!session)
        return;
    if (!whip_has_type(exchange, "application/json")) {
        http_exchange_fail(exchange, 415, "The body must be of type application/json.");
        return;
    }
    struct whip_choice choice;
    if (whip_choice_read(http_exchange_body(exchange), &choice) < 0) {
        http_exchange_fail(exchange, 400,
                           "The body is an object with mediaId, rid, maxWidth, maxHeight or "
                           "paused; all may be left out.");
        return;
    }
    const struct room_slot *slot = room_member_video_slot(session->member, choice.section);
    if (!slot) {
        http_exchange_fail(exchange, 404, "The session has no video in such a section.");
        return;
    }
    bool usual = choice.layer < 0 && choice.width == 0 && choice.height == 0 && !choice.paused;
    struct media_wish wish = wish_of(slot, &choice);
    int result = room_member_wish_slot(session->member, slot->section, usual ? NULL : &wish);
    ensure(result == 0); // the slot was found
    whip_count(endpoint, WHIP_METRIC_LAYER_CHOICES);
    http_exchange_respond(exchange, 200, NULL, bytes_of(NULL, 0));
}
