#include "admin/first_start.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "crypto/x509.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "runtime/files.h"
#include "runtime/interfaces.h"

#define PEM_MAX (64u << 10)
/** Within the 825 days that Apple's systems accept (support article HT210176). */
#define CERTIFICATE_DAYS       820
#define CERTIFICATE_RENEW_DAYS 30
#define CERTIFICATE_NAMES_MAX  64

static int problem(struct text_builder *out, int error, const char *what, const char *path)
{
    text_append_format(out, "cannot %s %s: %s", what, path, strerror(-error));
    if (error == -EACCES)
        text_append(out, " (run it as the user that the server runs as, or as root)");
    return error;
}

/** "folder/name" on the heap. */
static char *path_join(const char *folder, const char *name)
{
    size_t capacity = strlen(folder) + strlen(name) + 2;
    char *path = memory_allocate(1, capacity);
    ensure(file_join(path, capacity, folder, name) == 0);
    return path;
}

static int open_folder(struct data_folder *folder, struct text_builder *ret_problem)
{
    int exists = file_exists(folder->path);
    if (exists > 0)
        return 0;
    int result = exists < 0 ? exists : file_make_folder(folder->path, 0700);
    if (result < 0) {
        text_append_format(ret_problem,
                           "cannot make the data folder %s: %s (change server.data_dir or --data)",
                           folder->path, strerror(-result));
        return result;
    }
    folder->first_start = true;
    return 0;
}

static int make_secret(const char *path, struct random *random, struct text_builder *ret_problem)
{
    uint8_t secret[DATA_SECRET_SIZE];
    char text[2 * DATA_SECRET_SIZE + 2];
    random_fill(random, secret, sizeof(secret));
    text_hex_write(bytes_of(secret, sizeof(secret)), text);
    text[2 * DATA_SECRET_SIZE] = '\n';
    int result = file_write_atomic(path, bytes_of(text, 2 * DATA_SECRET_SIZE + 1), 0600);
    memory_wipe(secret, sizeof(secret));
    memory_wipe(text, sizeof(text));
    return result < 0 ? problem(ret_problem, result, "write", path) : 0;
}

/** 64 hex digits and a line feed. */
static int read_secret(const char *path, uint8_t out[DATA_SECRET_SIZE],
                       struct text_builder *ret_problem)
{
    char *text = NULL;
    size_t size = 0;
    int result = file_read(path, 1024, &text, &size);
    if (result < 0)
        return problem(ret_problem, result, "read", path);
    struct bytes digits = bytes_of(text, size);
    if (size > 0 && text[size - 1] == '\n')
        digits.size--;
    uint8_t secret[DATA_SECRET_SIZE];
    result = text_hex_parse(digits, secret, sizeof(secret));
    memory_wipe(text, size);
    free(text);
    if (result != DATA_SECRET_SIZE) {
        text_append_format(ret_problem,
                           "%s is damaged: it must hold %d hex digits (remove it to have a new one "
                           "made; what the old one signed is then void)",
                           path, 2 * DATA_SECRET_SIZE);
        return -EINVAL;
    }
    memcpy(out, secret, sizeof(secret));
    memory_wipe(secret, sizeof(secret));
    return 0;
}

static int open_secret(const struct data_folder *folder, const char *name, struct random *random,
                       uint8_t out[DATA_SECRET_SIZE], struct text_builder *ret_problem)
{
    cleanup(memory_free_at) char *path = path_join(folder->path, name);
    int result = file_exists(path);
    if (result == 0)
        result = make_secret(path, random, ret_problem);
    else if (result < 0)
        problem(ret_problem, result, "read", path);
    return result < 0 ? result : read_secret(path, out, ret_problem);
}

/** Names of a self-signed certificate: what users may type to reach this machine. */
struct names {
    const char *items[CERTIFICATE_NAMES_MAX];
    char *owned[CERTIFICATE_NAMES_MAX];
    size_t count;
};

static void names_add(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return;
    }
    if (*name == '\0' || names->count == CERTIFICATE_NAMES_MAX)
        return;
    names->owned[names->count] = memory_copy(name, strlen(name));
    names->items[names->count] = names->owned[names->count];
    names->count++;
}

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->owned[i]);
}

static void names_collect(struct names *names, const struct roost_options *options)
{
    for (size_t i = 0; i < options->http.names.count; i++)
        names_add(names, options->http.names.items[i]);
    names_add(names, "localhost");
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) == 0)
        names_add(names, host);
    names_add(names, "127.0.0.1");
    names_add(names, "::1");
    struct interface_address interfaces[32];
    int count = interface_list(interfaces, array_size(interfaces));
    for (int i = 0; i < count; i++) {
        char text[NET_ADDRESS_TEXT_MAX];
        names_add(names, net_address_format_ip(&interfaces[i].address, text));
    }
}

static int write_pem(const char *path, const struct certificate *certificate,
                     void (*write)(const struct certificate *, struct text_builder *),
                     unsigned mode, struct text_builder *ret_problem)
{
    cleanup(memory_free_at) char *text = memory_allocate(1, PEM_MAX);
    struct text_builder pem = text_builder_of(text, PEM_MAX);
    write(certificate, &pem);
    ensure(!pem.truncated);
    int result = file_write_atomic(path, bytes_of(text, pem.length), mode);
    memory_wipe(text, pem.length);
    return result < 0 ? problem(ret_problem, result, "write", path) : 0;
}

static int make_certificate(const struct data_folder *folder, const struct roost_options *options,
                            struct random *random, struct text_builder *ret_problem)
{
    struct names names = { 0 };
    names_collect(&names, options);
    int64_t now_s = (int64_t)(clock_unix_us() / TIME_US_PER_S);
    struct certificate_request request = {
        .common_name = "roost",
        .names = names.items,
        .name_count = names.count,
        .not_before_unix_s = now_s - 86400, // clocks of phones differ
        .not_after_unix_s = now_s + CERTIFICATE_DAYS * 86400ll,
    };
    struct certificate *certificate = NULL;
    int result = certificate_make(&request, random, &certificate);
    names_done(&names);
    if (result < 0) {
        text_append(ret_problem, "cannot make a certificate: a name in http.names is neither a "
                                 "host name nor an address");
        return result;
    }
    result =
        write_pem(folder->private_key_file, certificate, certificate_write_key, 0600, ret_problem);
    if (result == 0)
        result = write_pem(folder->certificate_file, certificate, certificate_write_chain, 0644,
                           ret_problem);
    certificate_unref(certificate);
    return result;
}

/** Whether the kept certificate can go on: it loads, and does not run out soon. */
static bool certificate_is_good(const struct data_folder *folder)
{
    cleanup(memory_free_at) char *chain = NULL;
    cleanup(memory_free_at) char *key = NULL;
    size_t chain_size = 0, key_size = 0;
    if (file_read(folder->certificate_file, PEM_MAX, &chain, &chain_size) < 0 ||
        file_read(folder->private_key_file, PEM_MAX, &key, &key_size) < 0)
        return false;
    struct certificate *certificate = NULL;
    int result =
        certificate_load(bytes_of(chain, chain_size), bytes_of(key, key_size), NULL, &certificate);
    memory_wipe(key, key_size);
    if (result < 0)
        return false;
    int64_t renew_s = certificate_not_after_unix_s(certificate) - CERTIFICATE_RENEW_DAYS * 86400ll;
    certificate_unref(certificate);
    return (int64_t)(clock_unix_us() / TIME_US_PER_S) < renew_s;
}

static int open_certificate(struct data_folder *folder, const struct roost_options *options,
                            struct random *random, struct text_builder *ret_problem)
{
    folder->self_signed = *options->http.cert == '\0';
    if (!folder->self_signed) {
        folder->certificate_file = memory_copy(options->http.cert, strlen(options->http.cert));
        folder->private_key_file = memory_copy(options->http.key, strlen(options->http.key));
        return 0;
    }
    folder->certificate_file = path_join(folder->path, DATA_FILE_CERTIFICATE);
    folder->private_key_file = path_join(folder->path, DATA_FILE_PRIVATE_KEY);
    if (certificate_is_good(folder))
        return 0;
    return make_certificate(folder, options, random, ret_problem);
}

int data_folder_set_certificate(struct data_folder *folder, const struct roost_options *options)
{
    char problem_text[256];
    struct text_builder ignored = text_builder_of(problem_text, sizeof(problem_text));
    struct data_folder fresh = { .path = folder->path };
    struct entropy entropy;
    entropy_init(&entropy);
    int result = open_certificate(&fresh, options, &entropy.random, &ignored);
    entropy_done(&entropy);
    struct data_folder *unwanted = result == 0 ? folder : &fresh;
    free(unwanted->certificate_file);
    free(unwanted->private_key_file);
    if (result == 0) {
        folder->certificate_file = fresh.certificate_file;
        folder->private_key_file = fresh.private_key_file;
        folder->self_signed = fresh.self_signed;
    }
    return result;
}

int data_certificate_check(const struct roost_options *options, struct text_builder *ret_problem)
{
    if (*options->http.cert == '\0')
        return 0;
    cleanup(memory_free_at) char *chain = NULL;
    cleanup(memory_free_at) char *key = NULL;
    size_t chain_size = 0, key_size = 0;
    int result = file_read(options->http.cert, PEM_MAX, &chain, &chain_size);
    if (result < 0)
        return problem(ret_problem, result, "read", options->http.cert);
    result = file_read(options->http.key, PEM_MAX, &key, &key_size);
    if (result < 0)
        return problem(ret_problem, result, "read", options->http.key);
    struct certificate *certificate = NULL;
    result = certificate_load(bytes_of(chain, chain_size), bytes_of(key, key_size), ret_problem,
                              &certificate);
    memory_wipe(key, key_size);
    if (result < 0) {
        text_append_format(ret_problem, " Certificate: %s, key: %s", options->http.cert,
                           options->http.key);
        return result;
    }
    if (certificate_not_after_unix_s(certificate) < (int64_t)(clock_unix_us() / TIME_US_PER_S)) {
        text_append_format(ret_problem, "The certificate %s has run out.", options->http.cert);
        result = -EKEYEXPIRED;
    }
    certificate_unref(certificate);
    return result;
}

/** Modes that roost did not give: the folder was there before, or came out of a backup. */
static bool is_exposed(const struct data_folder *folder)
{
    static const char *const secrets[] = { DATA_FILE_PRIVATE_KEY, DATA_FILE_TOKEN_SECRET,
                                           DATA_FILE_TURN_SECRET };
    struct stat status;
    bool exposed = stat(folder->path, &status) == 0 && (status.st_mode & 022) != 0;
    for (size_t i = 0; i < array_size(secrets); i++) {
        cleanup(memory_free_at) char *path = path_join(folder->path, secrets[i]);
        exposed = exposed || (stat(path, &status) == 0 && (status.st_mode & 077) != 0);
    }
    return exposed;
}

int data_folder_open(const struct roost_options *options, struct data_folder *ret_folder,
                     struct text_builder *ret_problem)
{
    const char *path = options->server.data_dir;
    struct data_folder folder = { .path = memory_copy(path, strlen(path)) };
    struct entropy entropy;
    entropy_init(&entropy);
    int result = open_folder(&folder, ret_problem);
    if (result == 0)
        result = open_secret(&folder, DATA_FILE_TOKEN_SECRET, &entropy.random, folder.token_secret,
                             ret_problem);
    if (result == 0)
        result = open_secret(&folder, DATA_FILE_TURN_SECRET, &entropy.random, folder.turn_secret,
                             ret_problem);
    if (result == 0)
        result = open_certificate(&folder, options, &entropy.random, ret_problem);
    entropy_done(&entropy);
    folder.exposed = result == 0 && is_exposed(&folder);
    if (result < 0)
        data_folder_done(&folder);
    else
        *ret_folder = folder;
    return result;
}

struct bytes data_token_key(const struct data_folder *folder, const struct roost_options *options)
{
    const char *secret = options->auth.token_secret;
    return *secret ? bytes_of_text(secret)
                   : bytes_of(folder->token_secret, sizeof(folder->token_secret));
}

void data_folder_done(struct data_folder *folder)
{
    free(folder->path);
    free(folder->certificate_file);
    free(folder->private_key_file);
    memory_wipe(folder->token_secret, sizeof(folder->token_secret));
    memory_wipe(folder->turn_secret, sizeof(folder->turn_secret));
    *folder = (struct data_folder){ 0 };
}
