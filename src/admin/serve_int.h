/** The server process: its parts, and what the files of serve share. */
#pragma once

#include "admin/admission_hook.h"
#include "admin/cli.h"
#include "admin/control_api.h"
#include "admin/first_start.h"
#include "admin/log_output.h"
#include "admin/metrics_page.h"
#include "admin/operator_routes.h"
#include "admin/token_fetch.h"
#include "admin/turn_api.h"
#include "admin/turn_config.h"
#include "admin/webhooks.h"
#include "app/app_server.h"
#include "crypto/tls.h"
#include "runtime/entropy.h"
#include "runtime/file_watch.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/signals.h"
#include "server/media_host.h"
#include "server/turn_host.h"
#include "server/turn_listener.h"
#include "signal/access/password_admission.h"
#include "signal/access/token_verifier.h"
#include "signal/access/turn_offer.h"
#include "signal/mqtt/mqtt_endpoint.h"
#include "signal/native/ws_endpoint.h"
#include "signal/peerjs/peerjs_endpoint.h"
#include "signal/whip/whip.h"
#include "store/history.h"
#include "users/user_login.h"
#include "users/user_renew.h"
#include "users/user_watch.h"

#define SERVE_PROBLEM_MAX 512
#define HOST_NAME_SIZE    256

/** Everything the control thread owns. One instance, on the stack of serve_run. */
struct serve {
    const struct cli_call *call;
    const struct roost_options *options;

    struct log_output log_output;
    struct log_rate log_rate;
    struct log log;
    struct entropy entropy;
    struct loop loop;
    struct signals signals;
    struct notify notify;
    struct loop_timer watchdog_timer;
    struct loop_timer drain_timer;
    uint64_t drain_until_us;
    bool draining;

    struct data_folder data;
    struct metrics_page *metrics;
    struct operator_routes operator_routes;

    struct certificate *certificate;     /**< in use */
    struct tls_server_context *web_tls;  /**< of the HTTPS port */
    struct tls_server_context *turn_tls; /**< of TURN's own ports */
    struct tls_server_context *mqtt_tls; /**< of MQTT's */
    struct file_watch *certificate_watch;
    struct net_address external; /**< of this machine behind a NAT; NET_NONE: none, not known */

    struct token_verifier tokens;
    struct http_client *client; /**< to other servers; NULL: nothing is asked of any */
    struct token_fetch *token_fetch;
    struct admission_hook *admission; /**< NULL: auth.mode is another */
    struct webhooks *webhooks;        /**< NULL: none are configured */

    struct http_server *http; /**< NULL: a TURN server alone */
    char *frame_ancestors;    /**< the list as CSP writes it */
    uint16_t https_port;      /**< as bound */
    uint16_t http_port;
    struct app_server *app;

    struct user_watch *users;             /**< NULL: neither TURN nor signaling runs */
    struct password_admission *passwords; /**< as `logins`, for the native protocol */
    struct user_renew *renew;             /**< as `logins` */
    struct user_login *logins;            /**< NULL: no signaling */
    struct user_listener user_listener;   /**< of signaling */
    struct history *history;              /**< NULL: nothing is kept */
    struct turn_host *turn;               /**< NULL: not this role */
    struct turn_listener *turn_listener;
    struct turn_settings *turn_settings;
    struct turn_relay_address relays[TURN_RELAY_ADDRESSES_MAX];
    size_t relay_count;
    uint16_t turn_media_port; /**< of our media server; 0: none, not known yet */
    uint16_t turn_port;       /**< TCP, as bound; 0: none */
    uint16_t turn_tls_port;
    bool turn_draining;
    uint64_t turn_drain_deadline_us;
    struct loop_timer turn_drain_timer;
    struct loop_timer turn_own_timer;
    struct turn_own turn_own;
    struct turn_offer turn_offer;
    struct turn_config_host turn_host_text;
    struct turn_api *turn_api;

    struct control_api *control_api;
    struct media_host *media;
    struct signal_hub hub; /**< while `signal` is there */
    struct ws_endpoint *signal;
    struct whip_endpoint *whip;
    struct peerjs_endpoint *peerjs; /**< NULL: not enabled */
    struct mqtt_endpoint *mqtt;     /**< NULL: not enabled */
    struct mqtt_rules *mqtt_rules;
    char *mqtt_folder;
    char mqtt_host_name[HOST_NAME_SIZE];
    uint16_t mqtt_port; /**< as bound; 0: none */
    uint16_t mqtt_tls_port;
    struct native_ice_server ice_server;

    char problem_text[SERVE_PROBLEM_MAX];
    struct text_builder problem; /**< why a part did not start, for the user */
};

/** Begins to stop: graceful the first time, at once the second. */
void serve_stop(struct serve *serve);

/** A part fails with a negative errno and a sentence in `serve->problem`. */
must_check int serve_certificate_start(struct serve *serve);
void serve_certificate_stop(struct serve *serve);
/** Loads the certificate anew; the old one stays in use when that fails. */
must_check int serve_certificate_load(struct serve *serve);
/** Watches the files in use, instead of those watched before. */
void serve_certificate_watch(struct serve *serve);

must_check int serve_tokens_start(struct serve *serve);
void serve_tokens_stop(struct serve *serve);
/** Reads the keys again; the old ones stay in use when that fails. */
void serve_tokens_reload(struct serve *serve);
/** Writes the revocations to the data folder. Returns 0 or a negative errno. */
must_check int serve_tokens_save(struct serve *serve);

/** Before the web server, whose end still makes events. */
must_check int serve_outgoing_start(struct serve *serve);
void serve_outgoing_stop(struct serve *serve);
void serve_outgoing_reload(struct serve *serve);

must_check int serve_http_start(struct serve *serve);
void serve_http_stop(struct serve *serve);
/** The last part: opens the ports. */
must_check int serve_listen_start(struct serve *serve);
void serve_http_reload(struct serve *serve);
/** Why a port of `section`.`option` cannot be had, into the problem. */
void serve_explain_bind(struct serve *serve, int error, const struct net_address *address,
                        const char *section, const char *option);

bool serve_turn_wanted(const struct serve *serve);
/** Whether there is nobody but TURN clients: neither web application nor signaling. */
bool serve_turn_alone(const struct serve *serve);
/** Whether TURN clients are served on the HTTPS port. */
bool serve_turn_on_https(const struct serve *serve);
/** Before the workers, which it is a part of. */
must_check int serve_turn_start(struct serve *serve);
void serve_turn_stop(struct serve *serve);
/** The workers run. */
void serve_turn_attached(struct serve *serve);
must_check int serve_turn_listen(struct serve *serve);
must_check int serve_control_start(struct serve *serve);
/** Says what the operator should know is allowed. */
void serve_control_reload(struct serve *serve);
/** Before the HTTP server goes. */
void serve_control_detach(struct serve *serve);
/** After the media server has gone. */
void serve_control_stop(struct serve *serve);
must_check int serve_turn_api_start(struct serve *serve);
/** Before the HTTP server goes. */
void serve_turn_api_detach(struct serve *serve);
/** After the TURN server has gone. */
void serve_turn_api_stop(struct serve *serve);
/** Makes the settings anew from options, users and state, and gives them to the workers. */
void serve_turn_settings(struct serve *serve);
/** Tells what reloads of where clients find us. */
void serve_turn_offer(struct serve *serve);
void serve_turn_certificate(struct serve *serve);
void serve_turn_reload(struct serve *serve);
/** No new allocations, and none longer than `timeout_us` from now; or as before. */
void serve_turn_drain(struct serve *serve, bool on, uint64_t timeout_us);
/** Before a stop: newcomers of TURN, WHIP and WHEP are refused. A TURN server alone
 *  stops when nobody relays any more, or after turn.drain_timeout. */
void serve_turn_drain_and_stop(struct serve *serve);

/** Asks for the external address where the configuration says so. */
must_check int serve_addresses_start(struct serve *serve);
uint32_t serve_worker_count(const struct serve *serve);

must_check int serve_app_start(struct serve *serve);
void serve_app_stop(struct serve *serve);
void serve_app_reload(struct serve *serve);

/** The media workers, and what signaling asks of them. */
must_check int serve_media_start(struct serve *serve);
/** Whether the media server takes ICE over TCP. */
bool serve_media_takes_tcp(const struct serve *serve);
void serve_media_stop(struct serve *serve);
void serve_media_reload(struct serve *serve);
struct media_control *serve_media_control(struct serve *serve);

/** Messages and calls that are kept; before signaling. */
must_check int serve_history_start(struct serve *serve);
void serve_history_stop(struct serve *serve);
/** call_directory_config.is_account, account_since and accounts, with the process as their owner.
 */
bool serve_is_account(void *owner, const char *name);
int64_t serve_account_since(void *owner, const char *name);
size_t serve_contact_accounts(void *owner, const char *prefix, size_t limit,
                              struct contact_account *ret_accounts);
/** Whether keys of an identity provider are on their way. */
bool serve_keys_pending(void *owner);
must_check int serve_signal_start(struct serve *serve);
void serve_signal_stop(struct serve *serve);
void serve_signal_reload(struct serve *serve);

/** After signaling, whose rooms it shares. */
must_check int serve_peerjs_start(struct serve *serve);
void serve_peerjs_stop(struct serve *serve);
void serve_peerjs_reload(struct serve *serve);
must_check int serve_whip_start(struct serve *serve);
void serve_whip_stop(struct serve *serve);
void serve_whip_reload(struct serve *serve);

/** Users of `roost user`, and their logins: for TURN and all signaling. */
must_check int serve_users_start(struct serve *serve);
void serve_users_stop(struct serve *serve);

must_check int serve_mqtt_start(struct serve *serve);
void serve_mqtt_stop(struct serve *serve);
must_check int serve_mqtt_listen(struct serve *serve);
void serve_mqtt_reload(struct serve *serve);
bool serve_mqtt_wanted(const struct serve *serve);
/** http_server_config.adopt_mqtt, with the process as its owner. */
void serve_mqtt_adopt(void *serve, struct stream_parcel *parcel, const struct net_address *remote,
                      const struct net_address *local);

/** Reads the configuration again and applies what reloads. */
void serve_reload(struct serve *serve);
