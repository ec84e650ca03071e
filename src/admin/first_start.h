/**
 * What a server without configuration needs: a data folder with secrets and a certificate, made at
 * the first start and kept. Files are made whole or not at all (temporary name, fsync, rename).
 */
#pragma once

#include "admin/options.h"

/** Names in the data folder; the folder has mode 0700, secrets 0600. */
#define DATA_FILE_CERTIFICATE  "certificate.pem"
#define DATA_FILE_PRIVATE_KEY  "private-key.pem"
#define DATA_FILE_TOKEN_SECRET "token-secret"
#define DATA_FILE_REVOCATIONS  "revocations.json"
#define DATA_FILE_TURN_SECRET  "turn-secret"

#define DATA_SECRET_SIZE 32

struct data_folder {
    char *path;
    char *certificate_file; /**< http.cert, or the self-signed one */
    char *private_key_file;
    bool self_signed;
    bool first_start; /**< the folder was made now */
    bool exposed;     /**< others on this machine may read the secrets, or put their own there */
    uint8_t token_secret[DATA_SECRET_SIZE];
    uint8_t turn_secret[DATA_SECRET_SIZE];
};

/**
 * Opens the data folder of `options`, making what is missing. A self-signed certificate that has
 * run out, or will within 30 days, is made anew.
 * Returns 0 or a negative errno with a sentence for the user in `ret_problem`.
 */
must_check int data_folder_open(const struct roost_options *options, struct data_folder *ret_folder,
                                struct text_builder *ret_problem);
/**
 * Points the certificate files at what `options` say now: after a reload. Makes the self-signed
 * one anew when it has run out. Returns 0 or a negative errno.
 */
must_check int data_folder_set_certificate(struct data_folder *folder,
                                           const struct roost_options *options);
/**
 * Whether the files http.cert and http.key of `options` belong together and can be used; 0 when
 * none are set. Otherwise a negative errno, and a sentence for the user in `ret_problem`.
 */
must_check int data_certificate_check(const struct roost_options *options,
                                      struct text_builder *ret_problem);
/** What signs tokens: auth.token_secret, or the folder's own. */
struct bytes data_token_key(const struct data_folder *folder, const struct roost_options *options);
/** Wipes the secrets. Accepts a zeroed struct. */
void data_folder_done(struct data_folder *folder);
