// Data messages of the server's own, on their way to the workers.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/media_host_int.h"

int media_data_send(struct media_control *control, const struct media_data *data)
{
    struct media_host *host = media_host_of(control);
    struct blob *name = data_name_new(data->group, data->label, data->protocol);
    struct blob *message = blob_new(data->content);
    if (!name || !message) {
        blob_unref(name);
        blob_unref(message);
        return -ENOMEM;
    }
    char(*to)[DATA_MEMBER_SIZE] = memory_allocate(data->to_count + 1, sizeof(*to));
    for (size_t i = 0; i < data->to_count; i++)
        snprintf(to[i], sizeof(to[i]), "%s", data->to[i]);
    struct data_parcel_config config = {
        .name = name,
        .message = message,
        .text = data->text,
        .droppable = data->droppable,
        .to_count = (uint32_t)data->to_count,
        .to = (const char(*)[DATA_MEMBER_SIZE])to,
    };
    struct data_parcel *parcel = data_parcel_new(&config);
    free(to);
    blob_unref(name);
    blob_unref(message);
    // a session may be about to be adopted by any of them
    for (uint32_t i = 0; i < host->shared.count; i++) {
        struct media_message_deliver deliver = { .parcel = data_parcel_ref(parcel) };
        media_host_send(host, i, MEDIA_MESSAGE_DELIVER, &deliver, sizeof(deliver));
    }
    data_parcel_unref(parcel);
    return 0;
}
