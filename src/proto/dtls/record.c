#include "proto/dtls/record_int.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

#define VERSION_DTLS_1_0 0xfeff // of ClientHellos
#define VERSION_DTLS_1_2 0xfefd

/**
 *   0      1         3       5                 11       13
 *  +------+---------+-------+-----------------+--------+----------------
 *  | type | version | epoch | sequence number | length | fragment ...      RFC 6347, 4.1
 *  +------+---------+-------+-----------------+--------+----------------
 */
int record_parse(struct reader *datagram, struct record *ret_record)
{
    const uint8_t *begin = datagram->data + datagram->at;
    uint8_t type = reader_u8(datagram);
    uint16_t version = reader_u16(datagram);
    uint16_t epoch = reader_u16(datagram);
    uint64_t sequence = (uint64_t)reader_u16(datagram) << 32;
    sequence |= reader_u32(datagram);
    struct bytes body = reader_bytes(datagram, reader_u16(datagram));
    if (datagram->failed || type < RECORD_CHANGE_CIPHER_SPEC || type > RECORD_APPLICATION_DATA ||
        (version != VERSION_DTLS_1_0 && version != VERSION_DTLS_1_2))
        return -EINVAL;
    *ret_record = (struct record){
        .type = type,
        .epoch = epoch,
        .sequence = sequence,
        .body = body,
        .whole = bytes_of(begin, RECORD_HEADER_SIZE + body.size),
    };
    return 0;
}

void record_layer_init(struct record_layer *layer, const struct dtls_record_keys *keys, bool client,
                       const struct cipher_provider *provider)
{
    layer->provider = provider;
    layer->key_size = keys->key_size;
    memcpy(layer->seal_key, client ? keys->client_key : keys->server_key, keys->key_size);
    memcpy(layer->open_key, client ? keys->server_key : keys->client_key, keys->key_size);
    memcpy(layer->seal_salt, client ? keys->client_salt : keys->server_salt,
           sizeof(layer->seal_salt));
    memcpy(layer->open_salt, client ? keys->server_salt : keys->client_salt,
           sizeof(layer->open_salt));
}

void record_layer_done(struct record_layer *layer)
{
    aead_free(layer->sealer);
    aead_free(layer->opener);
    memory_wipe(layer, sizeof(*layer));
}

/** RFC 6347, 4.1.2.1 and RFC 5246, 6.2.3.3: epoch and sequence number, type, version, length. */
static void additional_data(uint64_t epoch_and_sequence, enum record_type type, size_t plain_size,
                            uint8_t out[RECORD_HEADER_SIZE])
{
    store_u64(out, epoch_and_sequence);
    out[8] = (uint8_t)type;
    store_u16(out + 9, VERSION_DTLS_1_2);
    store_u16(out + 11, (uint16_t)plain_size);
}

int record_seal(struct record_layer *layer, enum record_type type, struct bytes plain, uint8_t *out)
{
    ensure(plain.size <= RECORD_PLAIN_MAX);
    if (layer->next_sequence > RECORD_SEQUENCE_MAX)
        return -EKEYEXPIRED;
    if (!layer->sealer)
        layer->sealer = aead_new(layer->provider, bytes_of(layer->seal_key, layer->key_size));
    uint64_t epoch_and_sequence = 1ull << 48 | layer->next_sequence++;
    struct writer writer = writer_of(out, RECORD_OVERHEAD + plain.size);
    writer_u8(&writer, (uint8_t)type);
    writer_u16(&writer, VERSION_DTLS_1_2);
    writer_u64(&writer, epoch_and_sequence);
    writer_u16(&writer, (uint16_t)(RECORD_NONCE_SIZE + plain.size + AEAD_TAG_SIZE));
    writer_u64(&writer, epoch_and_sequence); // unique, so it serves as the nonce
    uint8_t iv[AEAD_IV_SIZE], additional[RECORD_HEADER_SIZE];
    memcpy(iv, layer->seal_salt, 4);
    store_u64(iv + 4, epoch_and_sequence);
    additional_data(epoch_and_sequence, type, plain.size, additional);
    aead_seal(layer->sealer, iv, bytes_of(additional, sizeof(additional)), plain,
              out + writer.size);
    return 0;
}

int record_open(struct record_layer *layer, const struct record *record, uint8_t *out)
{
    size_t overhead = RECORD_NONCE_SIZE + AEAD_TAG_SIZE;
    if (record->epoch != 1 || record->body.size < overhead ||
        record->body.size > RECORD_PLAIN_MAX + overhead)
        return -EINVAL;
    int result =
        replay_window_check(&layer->window, layer->seen, RECORD_WINDOW_WORDS, record->sequence);
    if (result < 0)
        return result;
    if (!layer->opener)
        layer->opener = aead_new(layer->provider, bytes_of(layer->open_key, layer->key_size));
    size_t plain_size = record->body.size - overhead;
    uint8_t iv[AEAD_IV_SIZE], additional[RECORD_HEADER_SIZE];
    memcpy(iv, layer->open_salt, 4);
    memcpy(iv + 4, record->body.data, RECORD_NONCE_SIZE);
    additional_data(1ull << 48 | record->sequence, record->type, plain_size, additional);
    result = aead_open(
        layer->opener, iv, bytes_of(additional, sizeof(additional)),
        bytes_of(record->body.data + RECORD_NONCE_SIZE, record->body.size - RECORD_NONCE_SIZE),
        out);
    if (result < 0)
        return result;
    replay_window_add(&layer->window, layer->seen, RECORD_WINDOW_WORDS, record->sequence);
    return (int)plain_size;
}
