#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/stun/stun.h"
#include "server/external_address.h"

/** A STUN server of one answer, which ignores the first `deaf_to` requests. */
struct fake_server {
    pthread_t thread;
    int fd;
    uint16_t port;
    int deaf_to;
    bool wrong_transaction_first;
    int requests;
};

static void answer(const struct fake_server *fake, const struct stun_message *request,
                   const struct sockaddr_in *to, bool wrong)
{
    uint8_t id[STUN_TRANSACTION_ID_SIZE], out[128];
    memcpy(id, stun_message_transaction_id(request), sizeof(id));
    id[0] ^= wrong;
    struct net_address seen = net_address_ipv4(203, 0, 113, wrong ? 66 : 7, 54321);
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_SUCCESS, STUN_BINDING, id);
    stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, &seen);
    sendto(fake->fd, out, stun_writer_finish(&writer), 0, (const struct sockaddr *)to, sizeof(*to));
}

static void *serve(void *owner)
{
    struct fake_server *fake = owner;
    for (;;) {
        uint8_t data[256];
        struct sockaddr_in from;
        socklen_t from_size = sizeof(from);
        ssize_t size =
            recvfrom(fake->fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_size);
        if (size <= 0)
            return NULL; // shut down
        struct stun_message request;
        fake->requests++;
        if (stun_message_parse(bytes_of(data, (size_t)size), &request) < 0 ||
            fake->requests <= fake->deaf_to)
            continue;
        if (fake->wrong_transaction_first)
            answer(fake, &request, &from, true);
        answer(fake, &request, &from, false);
    }
}

static void start(struct fake_server *fake)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    fake->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fake->fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fake->fd, (struct sockaddr *)&address, &size), 0);
    fake->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

static void stop(struct fake_server *fake)
{
    shutdown(fake->fd, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->fd);
}

static int find(const struct fake_server *fake, struct net_address *ret_address)
{
    char server[64];
    struct random random;
    random_seeded_init(&random, 1);
    snprintf(server, sizeof(server), "127.0.0.1:%u", fake->port);
    return external_address_find(server, &random, ret_address);
}

static void test_the_address_that_the_server_saw_is_found(void **state)
{
    (void)state;
    struct fake_server fake = { 0 };
    struct net_address found = { 0 }, expected = net_address_ipv4(203, 0, 113, 7, 0);
    start(&fake);
    assert_int_equal(find(&fake, &found), 0);
    stop(&fake);
    assert_true(net_address_equal(&found, &expected));
}

static void test_a_lost_request_is_sent_again_and_a_forged_answer_ignored(void **state)
{
    (void)state;
    struct fake_server fake = { .deaf_to = 1, .wrong_transaction_first = true };
    struct net_address found = { 0 };
    start(&fake);
    assert_int_equal(find(&fake, &found), 0);
    stop(&fake);
    assert_true(fake.requests >= 2); // more when the machine is slow to answer
    assert_int_equal(found.ip[3], 7);
}

static void test_a_silent_server_is_given_up(void **state)
{
    (void)state;
    struct fake_server fake = { .deaf_to = 1000 };
    struct net_address found = { 0 };
    start(&fake);
    assert_int_equal(find(&fake, &found), -ETIMEDOUT);
    stop(&fake);
    assert_int_equal(found.family, NET_NONE);
}

static void test_bad_names_of_servers_are_refused(void **state)
{
    (void)state;
    struct random random;
    struct net_address found;
    random_seeded_init(&random, 1);
    static const char *const bad[] = { "",      ":3478", "host:0", "host:65536",
                                       "host:", "[::1",  "[::1]x", "host:12a" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(external_address_find(bad[i], &random, &found), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_address_that_the_server_saw_is_found),
        cmocka_unit_test(test_a_lost_request_is_sent_again_and_a_forged_answer_ignored),
        cmocka_unit_test(test_a_silent_server_is_given_up),
        cmocka_unit_test(test_bad_names_of_servers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
