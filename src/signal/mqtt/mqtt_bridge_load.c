// What the file of bridges names: passwords, certificates.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/files.h"
#include "signal/mqtt/mqtt_bridge_file.h"

#define SECRET_SIZE_MAX (64u << 10)
#define PEM_SIZE_MAX    (4u << 20)

struct loading {
    struct mqtt_bridge_spec *spec;
    struct text_builder *problem;
};

static void fail(const struct loading *loading, const char *directive, const char *what,
                 const char *sentence)
{
    text_append_format(loading->problem, "connection %s: %s %s: %s", loading->spec->name, directive,
                       what, sentence);
}

static int read(const struct loading *loading, const char *directive, const char *path,
                size_t size_max, char **ret_text, size_t *ret_size)
{
    int result = file_read(path, size_max, ret_text, ret_size);
    if (result < 0)
        fail(loading, directive, path, strerror(-result));
    else
        mqtt_bridge_spec_identify(loading->spec, bytes_of(*ret_text, *ret_size));
    return result;
}

/** ---- the password ---- */

static void take_password(struct mqtt_bridge_spec *spec, char *password)
{
    if (spec->password)
        memory_wipe(spec->password, strlen(spec->password));
    free(spec->password);
    spec->password = password;
}

static int load_password(const struct loading *loading)
{
    struct mqtt_bridge_spec *spec = loading->spec;
    if (spec->password_variable) {
        const char *value = getenv(spec->password_variable);
        if (!value || !*value) {
            fail(loading, "remote_password_env", spec->password_variable,
                 "there is no such variable in the environment of the server");
            return -ENOENT;
        }
        take_password(spec, memory_copy(value, strlen(value)));
        mqtt_bridge_spec_identify(spec, bytes_of_text(value));
    }
    if (!spec->password_file)
        return 0;
    char *text;
    size_t size;
    int result =
        read(loading, "remote_password_file", spec->password_file, SECRET_SIZE_MAX, &text, &size);
    if (result < 0)
        return result;
    // editors end it with a line feed
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    if (size > 0 && strlen(text) == size) {
        take_password(spec, text);
        return 0;
    }
    memory_wipe(text, size);
    free(text);
    fail(loading, "remote_password_file", spec->password_file, "there is no password in it");
    return -EINVAL;
}

/** ---- TLS ---- */

static int load_certificate(const struct loading *loading, struct certificate **ret_certificate)
{
    const struct mqtt_bridge_spec *spec = loading->spec;
    char *chain = NULL, *key = NULL;
    size_t chain_size = 0, key_size = 0;
    int result =
        read(loading, "bridge_certfile", spec->certificate_file, PEM_SIZE_MAX, &chain, &chain_size);
    if (result == 0)
        result = read(loading, "bridge_keyfile", spec->key_file, PEM_SIZE_MAX, &key, &key_size);
    if (result == 0) {
        char text[256];
        struct text_builder error = text_builder_of(text, sizeof(text));
        result = certificate_load(bytes_of(chain, chain_size), bytes_of(key, key_size), &error,
                                  ret_certificate);
        if (result < 0)
            fail(loading, "bridge_certfile", spec->certificate_file, text);
    }
    if (key)
        memory_wipe(key, key_size);
    free(key);
    free(chain);
    return result;
}

static int load_tls(const struct loading *loading)
{
    struct mqtt_bridge_spec *spec = loading->spec;
    if (!mqtt_bridge_spec_has_tls(spec))
        return 0;
    struct certificate *certificate = NULL;
    char *authorities = NULL;
    size_t size = 0;
    int result = spec->ca_file ? read(loading, "bridge_cafile", spec->ca_file, PEM_SIZE_MAX,
                                      &authorities, &size)
                               : 0;
    if (result == 0 && spec->certificate_file)
        result = load_certificate(loading, &certificate);
    if (result == 0) {
        char text[256];
        struct text_builder error = text_builder_of(text, sizeof(text));
        const char *alpn[] = { spec->alpn };
        struct tls_client_config config = { .verify = true,
                                            .authorities_pem = bytes_of(authorities, size),
                                            .certificate = certificate,
                                            .alpn = alpn,
                                            .alpn_count = spec->alpn ? 1 : 0 };
        result = tls_client_context_new(&config, &error, &spec->tls);
        if (result < 0)
            fail(loading, "bridge_cafile", spec->ca_file ? spec->ca_file : "", text);
    }
    certificate_unref(certificate);
    free(authorities);
    return result;
}

int mqtt_bridge_specs_load(struct mqtt_bridge_specs *specs, struct text_builder *ret_problem)
{
    for (size_t i = 0; i < specs->count; i++) {
        struct loading loading = { .spec = &specs->items[i], .problem = ret_problem };
        int result = load_password(&loading);
        if (result == 0)
            result = load_tls(&loading);
        if (result < 0)
            return result;
    }
    return 0;
}
