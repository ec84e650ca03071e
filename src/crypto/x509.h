/** Certificates with their private keys: made, loaded, described. */
#pragma once

#include "base/random.h"
#include "base/text.h"

/**
 * A certificate chain and its private key: immutable and reference-counted, may be shared between
 * threads.
 */
struct certificate;

/** "AB:CD:..." of a SHA-256 digest with terminator (RFC 8122, section 5). */
#define CERTIFICATE_FINGERPRINT_SIZE 96

struct certificate_request {
    const char *common_name;  /**< subject and issuer, at most 64 bytes */
    const char *const *names; /**< subject alternative names: DNS names, or IPs in text form */
    size_t name_count;
    int64_t not_before_unix_s;
    int64_t not_after_unix_s;
};

/**
 * Makes an ECDSA P-256 key and a self-signed certificate for it. The serial number is 16 bytes of
 * `random`; the key comes from OpenSSL's own generator. Returns 0 or -EINVAL (a name that is
 * neither DNS name nor IP, or too long).
 */
must_check int certificate_make(const struct certificate_request *request, struct random *random,
                                struct certificate **ret_certificate);
/**
 * Loads a PEM chain (leaf first) and its PEM key, and checks that they belong together. `error`
 * (may be NULL) gets a sentence on failure. Returns 0, -EINVAL (not PEM, no certificate, no key, an
 * encrypted key) or -EKEYREJECTED (the key is not this certificate's).
 */
must_check int certificate_load(struct bytes chain_pem, struct bytes key_pem,
                                struct text_builder *error, struct certificate **ret_certificate);
struct certificate *certificate_ref(struct certificate *certificate);
/** Accepts NULL; always returns NULL. */
struct certificate *certificate_unref(struct certificate *certificate);

/** Appends the chain, leaf first, as PEM. */
void certificate_write_chain(const struct certificate *certificate, struct text_builder *out);
/** Appends the private key as unencrypted PKCS #8 PEM: a secret. */
void certificate_write_key(const struct certificate *certificate, struct text_builder *out);
/** The SHA-256 fingerprint of the leaf in the form of SDP's a=fingerprint, without "sha-256 ". */
const char *certificate_fingerprint(const struct certificate *certificate);
int64_t certificate_not_before_unix_s(const struct certificate *certificate);
int64_t certificate_not_after_unix_s(const struct certificate *certificate);
/** Whether issuer and subject are the same, as in what certificate_make makes. */
bool certificate_is_self_signed(const struct certificate *certificate);
/** Whether the leaf is good for `name` (a DNS name or an IP in text form; wildcards count). */
bool certificate_covers(const struct certificate *certificate, const char *name);
