// Contacts: who can be called and written to, and how they can be reached.
#include <errno.h>

#include "base/memory.h"
#include "signal/native/native_int.h"

_Static_assert((int)WIRE_PRESENCE_OFFLINE == (int)PRESENCE_OFFLINE &&
                   (int)WIRE_PRESENCE_AWAY == (int)PRESENCE_AWAY &&
                   (int)WIRE_PRESENCE_ONLINE == (int)PRESENCE_ONLINE &&
                   (int)WIRE_PRESENCE_BUSY == (int)PRESENCE_BUSY &&
                   (int)WIRE_PRESENCE_DND == (int)PRESENCE_DND,
               "the schema's presence is the model's");

/** The languages of a user's devices, as texts. */
struct binding_texts {
    const char *items[CALL_BINDING_COUNT];
    size_t count;
};

static void write_bindings(uint32_t bindings, struct binding_texts *ret_texts)
{
    ret_texts->count = 0;
    for (int binding = 0; binding < CALL_BINDING_COUNT; binding++) {
        if (bindings & 1u << binding)
            ret_texts->items[ret_texts->count++] = call_binding_text((enum call_binding)binding);
    }
}

static void presence_changed(struct presence_watcher *watcher, const char *user,
                             const struct presence_view *view)
{
    struct native_session *session = container_of(watcher, struct native_session, watcher);
    struct binding_texts bindings;
    write_bindings(view->bindings, &bindings);
    struct wire_event_presence event = { .user = user,
                                         .name = view->name,
                                         .presence = (enum wire_presence)view->presence,
                                         .bindings = bindings.items,
                                         .bindings_count = bindings.count };
    wire_write_event_presence(native_out(session->native), &event);
    native_send_event(session);
}

void native_contacts_init(struct native_session *session)
{
    presence_watcher_init(&session->watcher, presence_changed);
}

void native_contacts_done(struct native_session *session)
{
    presence_watcher_clear(session->native->config.calls, &session->watcher);
}

static void reply_contacts(struct native_session *session, const struct wire_message *message,
                           const struct contact *contacts, size_t count)
{
    cleanup(memory_free_at) struct wire_contact *shown =
        memory_new_array(struct wire_contact, count + 1);
    cleanup(memory_free_at) struct binding_texts *bindings =
        memory_new_array(struct binding_texts, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct contact *contact = &contacts[i];
        write_bindings(contact->view.bindings, &bindings[i]);
        shown[i] = (struct wire_contact){ .user = contact->user,
                                          .name = contact->name,
                                          .verified = contact->verified,
                                          .presence = (enum wire_presence)contact->view.presence,
                                          .bindings = bindings[i].items,
                                          .bindings_count = bindings[i].count };
    }
    struct wire_result_contacts result = { .contacts = shown, .contacts_count = count };
    wire_write_result_contacts(native_out(session->native), message->id, &result);
    native_send_reply(session, message->id);
}

void native_contacts(struct native_session *session, uint64_t now_us,
                     const struct wire_message *message)
{
    (void)now_us;
    struct call_directory *calls = session->native->config.calls;
    const struct wire_request_contacts *request = &message->request.contacts;
    cleanup(memory_free_at) struct contact *contacts =
        memory_new_array(struct contact, request->limit);
    const char *prefix = request->prefix ? request->prefix : "";
    int count = contacts_list(calls, &session->device, prefix, request->limit, contacts);
    if (count < 0) {
        bool hidden = count == -EACCES;
        native_refuse(session, message,
                      hidden ? WIRE_ERROR_NOT_PERMITTED : WIRE_ERROR_NOT_REGISTERED,
                      hidden ? "Guests see nobody here. Sign in." : NULL);
        return;
    }
    presence_watcher_clear(calls, &session->watcher);
    for (int i = 0; i < count; i++) {
        // when the server watches as much as it can, a list is as it is
        if (presence_watch(calls, &session->watcher, contacts[i].user) < 0)
            break;
    }
    reply_contacts(session, message, contacts, (size_t)count);
}

static const enum presence choices[] = {
    [WIRE_PRESENCE_CHOICE_ONLINE] = PRESENCE_ONLINE,
    [WIRE_PRESENCE_CHOICE_AWAY] = PRESENCE_AWAY,
    [WIRE_PRESENCE_CHOICE_DND] = PRESENCE_DND,
};

void native_presence(struct native_session *session, uint64_t now_us,
                     const struct wire_message *message)
{
    (void)now_us;
    enum presence choice = choices[message->request.presence.presence];
    if (presence_choose(session->native->config.calls, &session->device, choice) < 0)
        native_refuse(session, message, WIRE_ERROR_NOT_REGISTERED, NULL);
    else
        native_ok(session, message);
}
