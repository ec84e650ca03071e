#include "crypto/tls_records.h"

#include <openssl/hmac.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/hash.h"

#define HEADER_SIZE 5
/** A record with its content type, padding and tag (5.2). */
#define SEALED_SIZE_MAX (TLS_PLAIN_SIZE_MAX + 256)
/** With one key AES-GCM may seal 2^24.5 full records (5.5). */
#define KEY_RECORDS_MAX (1u << 24)
/** Records without data that may come in a row, such as updates of keys: each costs us. */
#define IDLE_RECORDS_MAX 32

enum content_type {
    CONTENT_ALERT = 21,
    CONTENT_HANDSHAKE = 22,
    CONTENT_DATA = 23,
};

#define KEY_UPDATE      24
#define KEY_UPDATE_SIZE 5
#define ALERT_FATAL     2
#define ALERT_WARNING   1

/** ---- keys ---- */

static size_t key_size(const struct tls_records *records)
{
    return records->secret_size == HASH_SHA256_SIZE ? 16 : 32;
}

/** HKDF-Expand-Label without a context (7.1), of no more than one block. */
static void expand(const struct tls_records *records, const uint8_t *secret, const char *label,
                   uint8_t *out, size_t size)
{
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    struct writer writer = writer_of(info, sizeof(info));
    writer_u16(&writer, (uint16_t)size);
    writer_u8(&writer, (uint8_t)(6 + strlen(label)));
    writer_bytes(&writer, "tls13 ", 6);
    writer_bytes(&writer, label, strlen(label));
    writer_u8(&writer, 0); // no context
    writer_u8(&writer, 1); // HKDF's first block
    ensure(!writer.failed && size <= records->secret_size);
    const EVP_MD *hash = records->secret_size == HASH_SHA256_SIZE ? EVP_sha256() : EVP_sha384();
    uint8_t *done = HMAC(hash, secret, records->secret_size, info, writer.size, block, NULL);
    ensure(done);
    memcpy(out, block, size);
    memory_wipe(block, sizeof(block));
}

static void make_keys(const struct tls_records *records, struct tls_direction *direction)
{
    expand(records, direction->secret, "key", direction->key, key_size(records));
    expand(records, direction->secret, "iv", direction->iv, sizeof(direction->iv));
}

static void update_keys(const struct tls_records *records, struct tls_direction *direction)
{
    uint8_t next[TLS_SECRET_SIZE_MAX];
    expand(records, direction->secret, "traffic upd", next, records->secret_size);
    memcpy(direction->secret, next, records->secret_size);
    memory_wipe(next, sizeof(next));
    make_keys(records, direction);
    direction->sequence = 0;
}

void tls_records_init(struct tls_records *records, const struct cipher_provider *provider,
                      struct bytes secret_in, struct bytes secret_out, uint64_t sent)
{
    ensure(secret_in.size == secret_out.size &&
           (secret_in.size == HASH_SHA256_SIZE || secret_in.size == TLS_SECRET_SIZE_MAX));
    *records = (struct tls_records){ .provider = provider, .secret_size = (uint8_t)secret_in.size };
    memcpy(records->in.secret, secret_in.data, secret_in.size);
    memcpy(records->out.secret, secret_out.data, secret_out.size);
    make_keys(records, &records->in);
    make_keys(records, &records->out);
    records->out.sequence = sent;
}

void tls_records_done(struct tls_records *records)
{
    memory_wipe(records, sizeof(*records));
}

/** The cipher of a direction's next record; its schedule is made anew: it would take a kilobyte. */
static struct aead *cipher_of(const struct tls_records *records, struct tls_direction *direction,
                              uint8_t iv[AEAD_IV_SIZE])
{
    memcpy(iv, direction->iv, AEAD_IV_SIZE);
    for (unsigned i = 0; i < 8; i++)
        iv[AEAD_IV_SIZE - 1 - i] ^= (uint8_t)(direction->sequence >> (8 * i));
    direction->sequence++;
    return aead_new(records->provider, bytes_of(direction->key, key_size(records)));
}

/** ---- out ---- */

static void seal(struct tls_records *records, struct byte_queue *output, enum content_type type,
                 struct bytes content)
{
    size_t sealed_size = content.size + 1 + AEAD_TAG_SIZE;
    uint8_t *record = byte_queue_extend(output, HEADER_SIZE + sealed_size);
    // the outer type and version are always these (5.2)
    uint8_t header[HEADER_SIZE] = { CONTENT_DATA, 3, 3, (uint8_t)(sealed_size >> 8),
                                    (uint8_t)sealed_size };
    memcpy(record, header, sizeof(header));
    uint8_t *body = record + HEADER_SIZE;
    if (content.size > 0)
        memcpy(body, content.data, content.size);
    body[content.size] = (uint8_t)type;
    uint8_t iv[AEAD_IV_SIZE];
    struct aead *aead = cipher_of(records, &records->out, iv);
    aead_seal(aead, iv, bytes_of(header, sizeof(header)), bytes_of(body, content.size + 1), body);
    aead_free(aead);
}

/** Tells that other keys follow, and takes them (4.6.3). */
static void change_keys(struct tls_records *records, struct byte_queue *output)
{
    static const uint8_t update[KEY_UPDATE_SIZE] = { KEY_UPDATE, 0, 0, 1, 0 };
    seal(records, output, CONTENT_HANDSHAKE, bytes_of(update, sizeof(update)));
    update_keys(records, &records->out);
}

void tls_records_write(struct tls_records *records, struct byte_queue *output, struct bytes plain)
{
    ensure(plain.size <= TLS_PLAIN_SIZE_MAX);
    if (records->answer_due || records->out.sequence >= KEY_RECORDS_MAX)
        change_keys(records, output);
    records->answer_due = false;
    seal(records, output, CONTENT_DATA, plain);
}

static void alert(struct tls_records *records, struct byte_queue *output, uint8_t level,
                  enum tls_alert description)
{
    uint8_t content[2] = { level, (uint8_t)description };
    seal(records, output, CONTENT_ALERT, bytes_of(content, sizeof(content)));
}

void tls_records_close(struct tls_records *records, struct byte_queue *output)
{
    alert(records, output, ALERT_WARNING, TLS_ALERT_CLOSE_NOTIFY);
}

/** ---- in ---- */

struct problem {
    enum tls_alert description;
    const char *sentence;
};

static const struct problem overflow = { TLS_ALERT_RECORD_OVERFLOW, "a record is too long" };
static const struct problem unexpected = { TLS_ALERT_UNEXPECTED_MESSAGE,
                                           "a record of a kind that may not come" };
static const struct problem forged = { TLS_ALERT_BAD_RECORD_MAC, "a record is not authentic" };
static const struct problem malformed = { TLS_ALERT_DECODE_ERROR, "a message is malformed" };
static const struct problem flooded = { TLS_ALERT_UNEXPECTED_MESSAGE,
                                        "too many records without data came in a row" };

struct record {
    struct bytes content;
    uint8_t type;
    size_t size; /**< as it came, with its header; 0: it is not all there */
};

/** Decrypts in place. Returns NULL, or what is wrong with it. */
static const struct problem *open_sealed(struct tls_records *records, uint8_t *sealed, size_t size,
                                         struct record *ret_record)
{
    if (size < 1 + AEAD_TAG_SIZE)
        return &malformed;
    uint8_t iv[AEAD_IV_SIZE];
    struct aead *aead = cipher_of(records, &records->in, iv);
    int result = aead_open(aead, iv, bytes_of(sealed - HEADER_SIZE, HEADER_SIZE),
                           bytes_of(sealed, size), sealed);
    aead_free(aead);
    if (result < 0)
        return &forged;
    // the content, its type, and zeros (5.2)
    size_t end = size - AEAD_TAG_SIZE;
    while (end > 0 && sealed[end - 1] == 0)
        end--;
    if (end == 0)
        return &unexpected;
    ret_record->type = sealed[end - 1];
    ret_record->content = bytes_of(sealed, end - 1);
    ret_record->size = HEADER_SIZE + size;
    return end - 1 > TLS_PLAIN_SIZE_MAX ? &overflow : NULL;
}

/** Opens the record at the front, when it is all there. */
static const struct problem *open_front(struct tls_records *records, struct byte_queue *input,
                                        struct record *ret_record)
{
    ret_record->size = 0;
    if (byte_queue_size(input) < HEADER_SIZE)
        return NULL;
    uint8_t *header = input->data + input->begin;
    size_t size = (size_t)header[3] << 8 | header[4];
    if (size > SEALED_SIZE_MAX)
        return &overflow;
    if (header[0] != CONTENT_DATA)
        return &unexpected;
    if (byte_queue_size(input) < HEADER_SIZE + size)
        return NULL;
    return open_sealed(records, header + HEADER_SIZE, size, ret_record);
}

/** A KeyUpdate: all that clients may send after the handshake, where none were asked to log in. */
static const struct problem *handle_handshake(struct tls_records *records, struct bytes content)
{
    static const uint8_t update[KEY_UPDATE_SIZE - 1] = { KEY_UPDATE, 0, 0, 1 };
    if (content.size == 0 || content.data[0] != KEY_UPDATE)
        return &unexpected;
    // it ends its record, since other keys begin behind it (5.1)
    if (content.size != KEY_UPDATE_SIZE || memcmp(content.data, update, sizeof(update)) != 0 ||
        content.data[KEY_UPDATE_SIZE - 1] > 1)
        return &malformed;
    update_keys(records, &records->in);
    // one answer is enough for many, before the next data (4.6.3); so it never fills the output
    if (content.data[KEY_UPDATE_SIZE - 1] == 1)
        records->answer_due = true;
    return NULL;
}

static enum tls_record_result fail(struct tls_records *records, struct byte_queue *output,
                                   const struct problem *problem, const char **ret_problem)
{
    alert(records, output, ALERT_FATAL, problem->description);
    *ret_problem = problem->sentence;
    return TLS_RECORD_FAILED;
}

/** The peer ends the connection: in order, or not; all others than these are fatal (6.2). */
static enum tls_record_result handle_alert(struct bytes content, const char **ret_problem)
{
    if (content.size == 2 && content.data[1] == TLS_ALERT_CLOSE_NOTIFY)
        return TLS_RECORD_CLOSED;
    if (content.size == 2 && content.data[1] == TLS_ALERT_USER_CANCELED)
        return TLS_RECORD_NONE;
    *ret_problem = "the peer sent an alert";
    return TLS_RECORD_FAILED;
}

enum tls_record_result tls_records_next(struct tls_records *records, struct byte_queue *input,
                                        struct byte_queue *output, const char **ret_problem)
{
    while (records->plain_size == 0) {
        struct record record;
        const struct problem *problem = open_front(records, input, &record);
        if (problem)
            return fail(records, output, problem, ret_problem);
        if (record.size == 0)
            return TLS_RECORD_NONE;
        if (record.type == CONTENT_DATA && record.content.size > 0) {
            byte_queue_remove(input, HEADER_SIZE);
            records->idle_count = 0;
            records->plain_size = (uint16_t)record.content.size;
            records->trailer_size = (uint16_t)(record.size - HEADER_SIZE - record.content.size);
            break;
        }
        enum tls_record_result result = TLS_RECORD_NONE;
        if (++records->idle_count > IDLE_RECORDS_MAX)
            problem = &flooded;
        else if (record.type == CONTENT_HANDSHAKE)
            problem = handle_handshake(records, record.content);
        else if (record.type == CONTENT_ALERT)
            result = handle_alert(record.content, ret_problem);
        else if (record.type != CONTENT_DATA)
            problem = &unexpected;
        byte_queue_remove(input, record.size);
        if (problem)
            return fail(records, output, problem, ret_problem);
        if (result != TLS_RECORD_NONE)
            return result;
    }
    return TLS_RECORD_DATA;
}

size_t tls_records_read(struct tls_records *records, struct byte_queue *input, void *out,
                        size_t capacity)
{
    size_t size = min_of(capacity, (size_t)records->plain_size);
    memcpy(out, input->data + input->begin, size);
    records->plain_size = (uint16_t)(records->plain_size - size);
    byte_queue_remove(input, size + (records->plain_size == 0 ? records->trailer_size : 0u));
    return size;
}
