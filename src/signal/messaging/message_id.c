#include "signal/messaging/message_id.h"

#include <string.h>

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** As many of the lower bits as `size` letters hold, the highest first. */
static void write_number(uint64_t number, size_t size, char *out)
{
    while (size-- > 0) {
        out[size] = letters[number & 31];
        number >>= 5;
    }
}

static uint64_t read_number(const char *text, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        const char *letter = text[i] ? strchr(letters, text[i]) : NULL;
        if (!letter)
            return 0;
        number = number << 5 | (uint64_t)(letter - letters);
    }
    return number;
}

void message_ids_init(struct message_ids *ids, struct random *random, const char *last)
{
    *ids = (struct message_ids){ .random = random };
    // the millisecond behind it, whatever the clock says by now
    if (strlen(last) == MESSAGE_ID_SIZE - 1)
        ids->unix_ms = read_number(last, 10) + 1;
    random_fill(random, ids->rest, sizeof(ids->rest));
}

/** False: there is no greater one. */
static bool increase(uint8_t *rest, size_t size)
{
    while (size-- > 0) {
        if (++rest[size] != 0)
            return true;
    }
    return false;
}

void message_id_at(uint64_t unix_ms, char ret_id[MESSAGE_ID_SIZE])
{
    write_number(unix_ms, 10, ret_id);
    ret_id[10] = 0;
}

void message_ids_next(struct message_ids *ids, uint64_t unix_ms, char ret_id[MESSAGE_ID_SIZE])
{
    if (unix_ms <= ids->unix_ms && increase(ids->rest, sizeof(ids->rest))) {
        // the same millisecond, or the clock was set back
    } else {
        ids->unix_ms = unix_ms > ids->unix_ms ? unix_ms : ids->unix_ms + 1;
        random_fill(ids->random, ids->rest, sizeof(ids->rest));
    }
    write_number(ids->unix_ms, 10, ret_id);
    const uint8_t *rest = ids->rest;
    for (size_t half = 0; half < 2; half++, rest += 5) {
        uint64_t number = (uint64_t)rest[0] << 32 | (uint64_t)rest[1] << 24 |
                          (uint64_t)rest[2] << 16 | (uint64_t)rest[3] << 8 | rest[4];
        write_number(number, 8, ret_id + 10 + 8 * half);
    }
    ret_id[MESSAGE_ID_SIZE - 1] = 0;
}
