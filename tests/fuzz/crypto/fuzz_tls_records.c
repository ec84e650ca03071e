// Records of TLS 1.3 from a peer that has the keys: each of the input's pieces is a length, a type
// and content that are sealed as it would seal them; a length with the highest bit is raw bytes
// instead.
#include "crypto/tls_records.h"

#include <string.h>

#define RAW 0x80

static struct cipher_provider *provider;

struct fuzzer {
    struct tls_records records;
    struct byte_queue input;
    struct byte_queue output;
};

static void add_sealed(struct fuzzer *fuzzer, struct bytes inner)
{
    // what it will be opened with next, whatever was made of the keys
    struct tls_direction *in = &fuzzer->records.in;
    size_t size = inner.size + AEAD_TAG_SIZE;
    uint8_t header[5] = { 23, 3, 3, (uint8_t)(size >> 8), (uint8_t)size };
    byte_queue_add(&fuzzer->input, bytes_of(header, sizeof(header)));
    uint8_t iv[AEAD_IV_SIZE];
    memcpy(iv, in->iv, sizeof(iv));
    for (unsigned i = 0; i < 8; i++)
        iv[AEAD_IV_SIZE - 1 - i] ^= (uint8_t)(in->sequence >> (8 * i));
    struct aead *aead = aead_new(provider, bytes_of(in->key, 16));
    aead_seal(aead, iv, bytes_of(header, sizeof(header)), inner,
              byte_queue_extend(&fuzzer->input, size));
    aead_free(aead);
}

static bool take(struct fuzzer *fuzzer)
{
    const char *problem = NULL;
    for (;;) {
        uint8_t out[7];
        switch (tls_records_next(&fuzzer->records, &fuzzer->input, &fuzzer->output, &problem)) {
        case TLS_RECORD_DATA:
            ensure(tls_records_read(&fuzzer->records, &fuzzer->input, out, sizeof(out)) > 0);
            break;
        case TLS_RECORD_NONE:
            return true;
        case TLS_RECORD_FAILED:
            ensure(problem);
            return false;
        default:
            return false;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[32] = { 1 };
    if (!provider)
        provider = cipher_provider_new(CIPHER_OPENSSL);
    struct fuzzer fuzzer = { 0 };
    tls_records_init(&fuzzer.records, provider, bytes_of(secret, sizeof(secret)),
                     bytes_of(secret, sizeof(secret)), 0);
    struct reader reader = reader_of(data, size);
    bool goes_on = true;
    while (goes_on && reader.size - reader.at >= 2) {
        uint8_t length = reader_u8(&reader);
        struct bytes piece =
            reader_bytes(&reader, min_of((size_t)(length & ~RAW), reader.size - reader.at));
        if (length & RAW)
            byte_queue_add(&fuzzer.input, piece);
        else if (byte_queue_size(&fuzzer.input) == 0)
            add_sealed(&fuzzer, piece);
        goes_on = take(&fuzzer);
    }
    byte_queue_done(&fuzzer.input);
    byte_queue_done(&fuzzer.output);
    tls_records_done(&fuzzer.records);
    return 0;
}
