#include "proto/turn/turn_auth.h"

#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_credential_int.h"
#include "proto/turn/turn_nonce_int.h"

/**
 * PASSWORD-ALGORITHMS (RFC 8489 section 14.11), best first: number and length of parameters of
 * each. The same always, so that what a client repeats can be compared with it.
 */
static const uint8_t password_algorithms[] = {
    0, TURN_PASSWORD_SHA256, 0, 0, // no parameters
    0, TURN_PASSWORD_MD5,    0, 0,
};

/** What challenges claim. */
static uint32_t features_of(const struct turn_settings_config *config)
{
    // The name of time-limited credentials and of tokens cannot be found by its hash: clients are
    // asked to hide their name only where all names are known.
    bool all_known =
        config->user_count > 0 && config->secret_count == 0 && config->token_key_count == 0;
    return TURN_FEATURE_PASSWORD_ALGORITHMS | (all_known ? TURN_FEATURE_USERNAME_ANONYMITY : 0);
}

static bool find(const struct turn_auth_request *request, uint16_t type, struct bytes *ret_value)
{
    return stun_message_find(request->message, type, ret_value);
}

/** Who a request claims to be from. Returns 0 or 400. */
static int read_claim(const struct turn_auth_request *request, struct turn_claim *claim)
{
    bool named = find(request, STUN_USERNAME, &claim->username);
    bool hashed = !named && find(request, STUN_USERHASH, &claim->userhash);
    if ((!named && !hashed) || !find(request, STUN_REALM, &claim->realm) ||
        !find(request, STUN_NONCE, &claim->nonce))
        return STUN_BAD_REQUEST;
    if (claim->username.size > TURN_USERNAME_MAX ||
        (hashed && claim->userhash.size != HASH_SHA256_SIZE))
        return STUN_BAD_REQUEST;
    (void)find(request, STUN_ACCESS_TOKEN, &claim->token);
    return 0;
}

/**
 * The checks of section 9.2.4 against bidding down. A client that knows nothing of algorithms is
 * one of RFC 5389, of which there are many: it means MD5. Returns 0 or 400.
 */
static int read_algorithm(const struct turn_auth_request *request, struct turn_claim *claim)
{
    struct bytes all = { 0 }, chosen = { 0 };
    bool has_all = find(request, STUN_PASSWORD_ALGORITHMS, &all);
    bool has_chosen = find(request, STUN_PASSWORD_ALGORITHM, &chosen);
    bool offered = turn_nonce_features(claim->nonce) & TURN_FEATURE_PASSWORD_ALGORITHMS;
    claim->algorithm = TURN_PASSWORD_MD5;
    if (offered && (has_all || has_chosen) &&
        !(has_all && has_chosen &&
          bytes_equal(all, bytes_of(password_algorithms, sizeof(password_algorithms)))))
        return STUN_BAD_REQUEST;
    // what was not offered is not ours: such a nonce will be found stale in the end
    if (!has_chosen)
        return 0;
    if (chosen.size != 4 || load_u16(chosen.data + 2) != 0)
        return STUN_BAD_REQUEST;
    uint16_t number = load_u16(chosen.data);
    if (number != TURN_PASSWORD_MD5 && number != TURN_PASSWORD_SHA256)
        return STUN_BAD_REQUEST;
    claim->algorithm = (uint8_t)number;
    return 0;
}

static int judge(const struct turn_settings *settings, const struct turn_nonce_key *nonce_key,
                 const struct turn_auth_request *request, struct turn_identity *identity)
{
    const struct turn_settings_config *config = turn_settings_get(settings);
    struct turn_claim claim = { 0 };
    if (request->message->integrity == 0 && request->message->sha256 == 0)
        return STUN_UNAUTHENTICATED;
    int error = read_claim(request, &claim);
    if (error == 0)
        error = read_algorithm(request, &claim);
    if (error != 0)
        return error;
    struct bytes realm = bytes_of_text(config->realm);
    if (!bytes_equal(claim.realm, realm))
        return STUN_UNAUTHENTICATED;
    // in this order: a stale nonce is told to those only who know the password (section 9.2.4)
    if (!turn_credential_verify(settings, request, &claim, identity))
        return STUN_UNAUTHENTICATED;
    if (!turn_nonce_check(nonce_key, realm, claim.nonce, request->source, request->now_us,
                          config->nonce_lifetime_s))
        return STUN_STALE_NONCE;
    return 0;
}

int turn_auth_check(const struct turn_settings *settings, const struct turn_nonce_key *nonce_key,
                    const struct turn_auth_request *request, struct turn_identity *ret_identity)
{
    *ret_identity = (struct turn_identity){
        .none = turn_settings_get(settings)->no_auth,
        .sha256 = request->message->sha256 != 0,
    };
    if (ret_identity->none)
        return 0;
    int error = judge(settings, nonce_key, request, ret_identity);
    if (error != 0)
        memory_wipe(ret_identity->key, sizeof(ret_identity->key));
    return error;
}

const char *turn_auth_reason(const struct turn_settings *settings,
                             const struct turn_auth_request *request)
{
    struct turn_claim claim = { 0 };
    if (request->message->integrity == 0 && request->message->sha256 == 0)
        return NULL;
    if (read_claim(request, &claim) != 0)
        return NULL;
    if (!bytes_equal(claim.realm, bytes_of_text(turn_settings_get(settings)->realm)))
        return "the client's realm is not turn.realm";
    return turn_credential_reason(settings, request, &claim);
}

void turn_auth_write_challenge(const struct turn_settings *settings,
                               const struct turn_nonce_key *nonce_key,
                               const struct turn_auth_request *request, struct stun_writer *writer)
{
    const struct turn_settings_config *config = turn_settings_get(settings);
    struct bytes realm = bytes_of_text(config->realm);
    char nonce[TURN_NONCE_MAX];
    size_t size = turn_nonce_write(nonce_key, realm, features_of(config), request->source,
                                   request->now_us, nonce);
    stun_write_bytes(writer, STUN_REALM, realm);
    stun_write_bytes(writer, STUN_NONCE, bytes_of(nonce, size));
    stun_write_bytes(writer, STUN_PASSWORD_ALGORITHMS,
                     bytes_of(password_algorithms, sizeof(password_algorithms)));
    if (config->token_key_count > 0)
        stun_write_bytes(writer, STUN_THIRD_PARTY_AUTHORIZATION,
                         bytes_of_text(config->server_name));
}

void turn_auth_write_integrity(const struct turn_identity *identity, struct stun_writer *writer)
{
    struct bytes key = bytes_of(identity->key, identity->key_size);
    if (identity->none)
        return;
    if (identity->sha256)
        stun_write_integrity_sha256(writer, key);
    else
        stun_write_integrity(writer, key);
}
