// Native signaling of the process: rooms and calls over /ws.
#include <errno.h>
#include <string.h>

#include "admin/serve_int.h"
#include "runtime/clock.h"

static struct room_directory_config rooms_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct room_directory_config){
        .room_count_max = options->rooms.max_rooms,
        .member_count_max = options->rooms.max_members,
        .viewer_count_max = options->rooms.max_viewers,
        .track_count_max = options->rooms.max_tracks,
        .audio_slot_count_max = options->rooms.max_audio_slots,
        .last_speakers = options->rooms.last_speakers,
        .loudest_audio = options->rooms.loudest_audio,
        .playout_delay = { .set = options->rooms.playout_delay == 1 },
        .video_slot_count_max = options->rooms.max_video_slots,
        .empty_timeout_us = options->rooms.empty_timeout_us,
        .auto_create = options->rooms.auto_create,
        .watcher = serve->webhooks ? webhooks_watcher(serve->webhooks) : NULL,
    };
}

bool serve_keys_pending(void *owner)
{
    const struct serve *serve = owner;
    return serve->token_fetch && token_fetch_is_busy(serve->token_fetch);
}

static struct native_config native_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    serve->ice_server = (struct native_ice_server){
        .urls = (const char *const *)options->signal.ice_servers.items,
        .url_count = options->signal.ice_servers.count,
    };
    return (struct native_config){
        .server_name = "roost " ROOST_VERSION,
        .resume_window_us = options->signal.resume_window_us,
        .resume_buffer_size = options->signal.resume_buffer,
        .heartbeat_us = options->signal.ping_interval_us,
        .dead_after_us = options->signal.ping_timeout_us,
        .message_size_max = options->signal.max_message,
        .session_count_max = options->signal.max_sessions,
        .session_per_address_count_max = options->signal.max_sessions_per_address,
        .message_rate = options->signal.message_rate,
        .message_burst = options->signal.message_burst,
        .require_token = options_are_closed(options),
        .admission = serve->admission ? admission_hook_admission(serve->admission) : NULL,
        .passwords = password_admission_of(serve->passwords),
        .keys_pending = serve_keys_pending,
        .keys_owner = serve,
        .tokens = &serve->tokens,
        .ice_servers = &serve->ice_server,
        .ice_server_count = options->signal.ice_servers.count > 0 ? 1 : 0,
        .turn = serve->turn ? &serve->turn_offer : NULL,
    };
}

static void call_ended(void *owner, const struct call_record *record)
{
    struct serve *serve = owner;
    messaging_call_ended(&serve->hub.messaging, record);
}

static bool grants_stand(void *owner, const struct token_grants *grants)
{
    const struct serve *serve = owner;
    return token_verifier_stands(&serve->tokens, grants, clock_unix_us() / TIME_US_PER_S);
}

static struct signal_hub_config hub_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct signal_hub_config){
        .loop = &serve->loop,
        .random = &serve->entropy.random,
        .media = serve_media_control(serve),
        .history = serve->history,
        .rooms = rooms_config(serve),
        .calls = {
            .ring_timeout_us = options->signal.ring_timeout_us,
            .user_count_max = options->signal.max_sessions,
            .call_count_max = options->signal.max_calls,
            .hide_guests = !options->contacts.guests,
            .owner = serve,
            .is_account = serve_is_account,
            .account_since = serve_account_since,
            .accounts = serve_contact_accounts,
            .ended = call_ended,
            .media_way = (enum call_media_way)options->calls.media,
        },
        .anchored_count_max = options->calls.max_anchored,
        .require_token = options_are_closed(options),
        .admission = serve->admission ? admission_hook_admission(serve->admission) : NULL,
        .grants_stand = grants_stand,
        .owner = serve,
    };
}

static struct ws_endpoint_config endpoint_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct ws_endpoint_config){
        .loop = &serve->loop,
        .server = serve->http,
        .random = &serve->entropy.random,
        .hub = &serve->hub,
        .log = &serve->log,
        .ping_interval_us = options->signal.ping_interval_us,
        .pong_timeout_us = options->signal.ping_timeout_us,
        .allowed_origins = (const char *const *)options->signal.allowed_origins.items,
        .native = native_config(serve),
    };
}

static void password_decided(void *owner, const char *session,
                             const struct admission_answer *answer)
{
    struct serve *serve = owner;
    ws_endpoint_admitted(serve->signal, session, answer);
}

/** Whoever is here as a user that is gone, or by a password of before, goes; so do guests whose
 * name is an account's now. */
static void user_changed(struct user_listener *listener, const char *name, enum user_fate fate)
{
    struct serve *serve = container_of(listener, struct serve, user_listener);
    uint64_t now_us = loop_now_us(&serve->loop);
    if (fate == USER_IS_RENAMED)
        return;
    if (fate == USER_IS_NEW)
        call_name_claim(&serve->hub.calls, now_us, name);
    else
        call_user_sign_out(&serve->hub.calls, now_us, name);
}

static void users_told(struct user_listener *listener)
{
    signal_hub_changed(&container_of(listener, struct serve, user_listener)->hub);
}

static void listen_to_users(struct serve *serve)
{
    serve->user_listener.changed = user_changed;
    serve->user_listener.told = users_told;
    if (serve->users)
        user_watch_listen(serve->users, &serve->user_listener);
}

int serve_signal_start(struct serve *serve)
{
    if (!option_list_has(&serve->options->server.roles, "signal"))
        return 0;
    serve->passwords =
        password_admission_new(&(struct password_admission_config){ .loop = &serve->loop,
                                                                    .logins = serve->logins,
                                                                    .decided = password_decided,
                                                                    .owner = serve });
    struct signal_hub_config hub = hub_config(serve);
    signal_hub_init(&serve->hub, &hub);
    struct ws_endpoint_config config = endpoint_config(serve);
    int result = ws_endpoint_new(&config, &serve->signal);
    if (result < 0) {
        signal_hub_done(&serve->hub);
        text_append_format(&serve->problem, "cannot start signaling: %s", strerror(-result));
        return result;
    }
    struct metric_set sets[16];
    size_t count = ws_endpoint_metrics(serve->signal, sets, array_size(sets));
    count += signal_hub_metrics(&serve->hub, sets + count, array_size(sets) - count);
    for (size_t i = 0; i < count; i++)
        metrics_page_add(serve->metrics, &sets[i]);
    listen_to_users(serve);
    return 0;
}

void serve_signal_stop(struct serve *serve)
{
    serve->passwords = password_admission_free(serve->passwords);
    if (!serve->signal)
        return;
    user_watch_unlisten(&serve->user_listener);
    ws_endpoint_free(serve->signal);
    serve->signal = NULL;
    signal_hub_done(&serve->hub);
}

void serve_signal_reload(struct serve *serve)
{
    if (!serve->signal)
        return;
    struct signal_hub_config hub = hub_config(serve);
    signal_hub_reload(&serve->hub, &hub);
    struct ws_endpoint_config config = endpoint_config(serve);
    ws_endpoint_reload(serve->signal, &config);
}
