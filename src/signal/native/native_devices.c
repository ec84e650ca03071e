// The user's devices: a list, and taking one out.
#include <errno.h>

#include "base/time.h"
#include "signal/native/native_int.h"

#define DEVICES_MAX 100

void native_device_registered(struct native_session *session, uint64_t now_us, bool is_new)
{
    struct call_device *device = &session->device;
    device->remote = session->remote;
    device->since_unix_ms = (int64_t)(native_unix_us(session->native, now_us) / TIME_US_PER_MS);
    if (is_new)
        native_messages_catch_up(session);
    messaging_arrived(session->native->config.messaging, device);
}

void native_device_revoked(struct call_device *device, uint64_t now_us)
{
    struct native_session *session = container_of(device, struct native_session, device);
    struct native_connection *connection = session->connection;
    native_session_end(session, now_us, false);
    if (connection)
        native_close_connection(connection, NATIVE_CLOSE_REVOKED, "disconnected by the user");
}

void native_devices(struct native_session *session, uint64_t now_us,
                    const struct wire_message *message)
{
    (void)now_us;
    const struct call_device *devices[DEVICES_MAX];
    struct wire_device shown[DEVICES_MAX];
    char addresses[DEVICES_MAX][NET_ADDRESS_TEXT_MAX];
    size_t count = call_device_list(&session->device, DEVICES_MAX, devices);
    if (count == 0) {
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct call_device *device = devices[i];
        addresses[i][0] = 0;
        if (device->remote.family != NET_NONE)
            net_address_format_ip(&device->remote, addresses[i]);
        shown[i] = (struct wire_device){ .device = device->id,
                                         .binding = call_binding_text(device->binding),
                                         .address = addresses[i],
                                         .since = (uint64_t)device->since_unix_ms,
                                         .this = device == &session->device };
    }
    struct wire_result_devices result = { .devices = shown, .devices_count = count };
    wire_write_result_devices(native_out(session->native), message->id, &result);
    native_send_reply(session, message->id);
}

void native_device_revoke(struct native_session *session, uint64_t now_us,
                          const struct wire_message *message)
{
    if (!call_device_user(&session->device)) {
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED, NULL);
        return;
    }
    int result = call_device_revoke(session->native->config.calls, &session->device, now_us,
                                    message->request.device_revoke.device);
    if (result == -EINVAL)
        native_refuse(session, message, WIRE_ERROR_BAD_REQUEST,
                      "This is the session itself. Send \"goodbye\".");
    else if (result < 0)
        native_refuse(session, message, WIRE_ERROR_NO_SUCH_DEVICE, NULL);
    else
        native_ok(session, message);
}
