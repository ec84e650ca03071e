#include "support/check.h"

#include "server/media_routes.h"

static struct rtc_params *params(const char *ufrag)
{
    struct rtc_negotiated negotiated = { .local_ufrag = ufrag };
    return rtc_params_new(&negotiated);
}

static struct media_transport *by_ufrag(const struct media_routes *routes, const char *ufrag)
{
    return media_routes_by_ufrag(routes, bytes_of_text(ufrag));
}

static void test_old_fragments_are_found_for_a_while(void **state)
{
    (void)state;
    struct media_routes routes;
    media_routes_init(&routes, (uint64_t[2]){ 1, 2 });
    struct media_transport *transport =
        media_routes_add(&routes, 7, media_claim_new(), params("first"));
    media_routes_renew(&routes, transport, params("first")); // another offer, no restart
    assert_ptr_equal(by_ufrag(&routes, "first"), transport);
    media_routes_renew(&routes, transport, params("second"));
    media_routes_renew(&routes, transport, params("third"));
    assert_ptr_equal(by_ufrag(&routes, "first"), transport);
    assert_ptr_equal(by_ufrag(&routes, "third"), transport);
    media_routes_renew(&routes, transport, params("fourth"));
    assert_null(by_ufrag(&routes, "first"));
    assert_ptr_equal(media_routes_by_session(&routes, 7), transport);
    media_routes_remove(&routes, transport);
    assert_null(by_ufrag(&routes, "fourth"));
    assert_null(media_routes_by_session(&routes, 7));
    media_routes_done(&routes);
}

static void test_an_address_belongs_to_the_last_session_that_proved_it(void **state)
{
    (void)state;
    struct media_routes routes;
    media_routes_init(&routes, (uint64_t[2]){ 1, 2 });
    struct media_transport *a = media_routes_add(&routes, 1, media_claim_new(), params("aaaa"));
    struct media_transport *b = media_routes_add(&routes, 2, media_claim_new(), params("bbbb"));
    struct net_address remote = net_address_ipv4(192, 0, 2, 1, 5000);
    media_routes_learn(&routes, a, &remote);
    assert_ptr_equal(media_routes_by_address(&routes, &remote), a);
    media_routes_learn(&routes, b, &remote);
    assert_ptr_equal(media_routes_by_address(&routes, &remote), b);
    assert_int_equal(a->route_count, 0);
    media_routes_remove(&routes, b);
    assert_null(media_routes_by_address(&routes, &remote));
    media_routes_remove(&routes, a);
    media_routes_done(&routes);
}

static void test_a_session_has_a_bounded_number_of_addresses(void **state)
{
    (void)state;
    struct media_routes routes;
    media_routes_init(&routes, (uint64_t[2]){ 1, 2 });
    struct media_transport *a = media_routes_add(&routes, 1, media_claim_new(), params("aaaa"));
    for (uint16_t port = 1; port <= 100; port++) {
        struct net_address remote = net_address_ipv4(192, 0, 2, 1, port);
        media_routes_learn(&routes, a, &remote);
    }
    assert_int_equal(a->route_count, MEDIA_ROUTES_PER_SESSION);
    assert_int_equal(routes.addresses.count, MEDIA_ROUTES_PER_SESSION);
    struct net_address newest = net_address_ipv4(192, 0, 2, 1, 100);
    assert_ptr_equal(media_routes_by_address(&routes, &newest), a);
    media_routes_remove(&routes, a);
    media_routes_done(&routes);
}

static struct rtc_params *publishing(const char *ufrag, uint32_t ssrc)
{
    struct rtc_source source = { .ssrc = ssrc };
    struct rtc_section section = { .source_count = 1, .sources = &source };
    struct rtc_negotiated negotiated = { .local_ufrag = ufrag,
                                         .section_count = 1,
                                         .sections = &section };
    return rtc_params_new(&negotiated);
}

static void test_an_ssrc_leads_to_the_first_that_announced_it(void **state)
{
    (void)state;
    struct media_routes routes;
    media_routes_init(&routes, (uint64_t[2]){ 1, 2 });
    struct media_transport *a = media_routes_add(&routes, 1, media_claim_new(), publishing("a", 5));
    struct media_transport *b = media_routes_add(&routes, 2, media_claim_new(), publishing("b", 5));
    assert_ptr_equal(media_routes_by_ssrc(&routes, 5), a);
    media_routes_renew(&routes, b, publishing("b", 6));
    assert_ptr_equal(media_routes_by_ssrc(&routes, 6), b);
    assert_ptr_equal(media_routes_by_ssrc(&routes, 5), a);
    media_routes_renew(&routes, a, params("a"));
    assert_null(media_routes_by_ssrc(&routes, 5));
    media_routes_remove(&routes, b);
    assert_null(media_routes_by_ssrc(&routes, 6));
    media_routes_remove(&routes, a);
    media_routes_done(&routes);
}

static void test_guessed_addresses_push_nothing_out(void **state)
{
    (void)state;
    struct media_routes routes;
    media_routes_init(&routes, (uint64_t[2]){ 1, 2 });
    struct media_transport *a = media_routes_add(&routes, 1, media_claim_new(), params("aaaa"));
    struct net_address proven = net_address_ipv4(192, 0, 2, 1, 5000);
    media_routes_learn(&routes, a, &proven);
    for (uint16_t port = 1; port <= 100; port++) {
        struct net_address remote = net_address_ipv4(192, 0, 2, 2, port);
        media_routes_guess(&routes, a, &remote);
        assert_ptr_equal(media_routes_by_address(&routes, &remote), a);
    }
    assert_int_equal(a->route_count, 2);
    assert_ptr_equal(media_routes_by_address(&routes, &proven), a);
    // a check that proves the guess makes it stay
    struct net_address last = net_address_ipv4(192, 0, 2, 2, 100);
    struct net_address next = net_address_ipv4(192, 0, 2, 2, 101);
    media_routes_learn(&routes, a, &last);
    media_routes_guess(&routes, a, &next);
    assert_ptr_equal(media_routes_by_address(&routes, &last), a);
    assert_int_equal(a->route_count, 3);
    for (uint16_t port = 1; a->route_count < MEDIA_ROUTES_PER_SESSION; port++) {
        struct net_address remote = net_address_ipv4(192, 0, 2, 3, port);
        media_routes_learn(&routes, a, &remote);
    }
    struct net_address more = net_address_ipv4(192, 0, 2, 4, 1);
    media_routes_guess(&routes, a, &more); // in place of the guess before
    assert_null(media_routes_by_address(&routes, &next));
    media_routes_learn(&routes, a, &more);
    media_routes_guess(&routes, a, &next);
    assert_null(media_routes_by_address(&routes, &next));
    assert_int_equal(a->route_count, MEDIA_ROUTES_PER_SESSION);
    media_routes_remove(&routes, a);
    media_routes_done(&routes);
}

static void test_a_claim_is_taken_once(void **state)
{
    (void)state;
    struct media_claim *claim = media_claim_new();
    assert_int_equal(media_claim_owner(claim), MEDIA_CLAIM_NOBODY);
    assert_int_equal(media_claim_take(claim, 3), 3);
    assert_int_equal(media_claim_take(claim, 1), 3);
    assert_int_equal(media_claim_owner(claim), 3);
    media_claim_unref(claim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_fragments_are_found_for_a_while),
        cmocka_unit_test(test_an_address_belongs_to_the_last_session_that_proved_it),
        cmocka_unit_test(test_a_session_has_a_bounded_number_of_addresses),
        cmocka_unit_test(test_an_ssrc_leads_to_the_first_that_announced_it),
        cmocka_unit_test(test_guessed_addresses_push_nothing_out),
        cmocka_unit_test(test_a_claim_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
