// Many drops at the worst moments: nothing said is lost, nothing is said twice.
#include "signal_harness.h"

enum {
    PEOPLE = 4,
    ROUNDS = 4000,
};

/** A client as the protocol's page tells one to be. */
struct talker {
    struct client client;
    uint64_t said;          /**< texts put into requests so far */
    uint64_t pending_from;  /**< the first text whose reply did not come */
    uint64_t base_id;       /**< text n has the id base_id + n */
    uint64_t heard[PEOPLE]; /**< the next number expected from each */
    uint64_t last_seq;      /**< processed in order */
};

static struct talker talkers[PEOPLE];

static void send_text(struct talker *talker, unsigned self, uint64_t number)
{
    char text[160];
    snprintf(text, sizeof(text), "{\"type\":\"chat\",\"id\":%u,\"text\":\"%u %u\"}",
             (unsigned)(talker->base_id + number), self, (unsigned)number);
    client_say(&talker->client, text);
}

static void read_inbox(struct talker *talker)
{
    struct client *client = &talker->client;
    while (client->count > 0) {
        json_t *message = client_take(client, 0);
        uint64_t seq = (uint64_t)json_integer_value(json_object_get(message, "seq"));
        if (seq == 0)
            continue;
        if (seq <= talker->last_seq)
            continue; // seen before
        assert_int_equal(seq, talker->last_seq + 1);
        talker->last_seq = seq;
        json_t *id = json_object_get(message, "id");
        if (id) {
            assert_string_equal(type_of(message), "ok");
            assert_int_equal(json_integer_value(id), talker->base_id + talker->pending_from);
            talker->pending_from++;
        } else if (strcmp(type_of(message), "chat") == 0) {
            unsigned from, number;
            assert_int_equal(sscanf(text_at(message, "text"), "%u %u", &from, &number), 2);
            assert_int_equal(number, talker->heard[from]);
            talker->heard[from]++;
        }
    }
}

static void come_back(struct talker *talker, unsigned self)
{
    talker->client.last_seq = talker->last_seq;
    json_t *reply = client_resume(&talker->client);
    assert_non_null(reply);
    assert_string_equal(type_of(reply), "ok");
    read_inbox(talker);
    for (uint64_t number = talker->pending_from; number < talker->said; number++)
        send_text(talker, self, number);
    read_inbox(talker);
}

static void act(struct talker *talker, unsigned self, struct random *random)
{
    struct client *client = &talker->client;
    uint32_t dice = random_below(random, 100);
    if (!client->connection) {
        if (dice < 40)
            come_back(talker, self);
        return;
    }
    if (dice < 60) {
        uint64_t number = talker->said++;
        // a third of the requests die on the way out of a connection that is breaking
        if (!client->deaf || random_below(random, 3) > 0)
            send_text(talker, self, number);
        else
            client_break(client, 1006);
    } else if (dice < 70) {
        client->deaf = true; // from now on nothing arrives
    } else if (dice < 75) {
        client_break(client, 1006);
    } else if (dice < 85 && !client->deaf) {
        char text[64];
        snprintf(text, sizeof(text), "{\"type\":\"ping\",\"last_seq\":%u}",
                 (unsigned)talker->last_seq);
        client_say(client, text);
    } else if (dice < 88) {
        come_back(talker, self); // over a connection that the server believes in still
    }
    if (client->connection && client->deaf && random_below(random, 4) == 0)
        client_break(client, 1006);
    read_inbox(talker);
}

static void test_nothing_is_lost_or_doubled_over_many_drops(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){
        .resume_buffer_size = 1 << 20, .message_rate = 100000, .message_burst = 100000 });
    struct random random;
    random_seeded_init(&random, 99);
    memset(talkers, 0, sizeof(talkers));
    for (unsigned i = 0; i < PEOPLE; i++) {
        client_enter(&talkers[i].client, "room", "talker");
        client_clear(&talkers[i].client);
        talkers[i].base_id = talkers[i].client.next_id + 1;
        talkers[i].client.next_id = 1000000; // ids of `resume` are apart
        talkers[i].last_seq = talkers[i].client.last_seq;
    }
    // everyone's stream begins now: read what the later ones' joining said
    for (int round = 0; round < ROUNDS; round++) {
        unsigned who = random_below(&random, PEOPLE);
        act(&talkers[who], who, &random);
        world_pass(random_below(&random, 20000));
    }
    for (unsigned i = 0; i < PEOPLE; i++)
        come_back(&talkers[i], i);
    uint64_t total = 0;
    for (unsigned i = 0; i < PEOPLE; i++) {
        read_inbox(&talkers[i]);
        assert_int_equal(talkers[i].pending_from, talkers[i].said);
        for (unsigned from = 0; from < PEOPLE; from++)
            assert_int_equal(talkers[i].heard[from], talkers[from].said);
        total += talkers[i].said;
    }
    assert_true(total > ROUNDS / 4);
    for (unsigned i = 0; i < PEOPLE; i++)
        client_done(&talkers[i].client);
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_nothing_is_lost_or_doubled_over_many_drops) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
