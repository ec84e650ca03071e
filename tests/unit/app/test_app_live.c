// The web application as browsers meet it: pages, SDK, the user's own site, ACME challenges.
#include "../server/http_live.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "app/app_server.h"
#include "server/static_files.h"

#define CLOSE     "Connection: close\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n"

static char answer[1 << 21];

struct site {
    struct live *live;
    struct app_server *app;
    char folder[64];
};

static void write_file(const struct site *site, const char *name, const void *data, size_t size)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", site->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void write_text(const struct site *site, const char *name, const char *text)
{
    write_file(site, name, text, strlen(text));
}

static void make_folder(const struct site *site, const char *name)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", site->folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

/** root/ is the user's own site when `with_root`; acme/ holds challenges. */
static struct site *site_open(bool with_root)
{
    struct site *site = calloc(1, sizeof(*site));
    strcpy(site->folder, "/tmp/roost-app-XXXXXX");
    assert_non_null(mkdtemp(site->folder));
    make_folder(site, "root");
    make_folder(site, "acme");
    write_text(site, "secret", "nobody may read this");
    char root[100], acme[100];
    snprintf(root, sizeof(root), "%s/root", site->folder);
    snprintf(acme, sizeof(acme), "%s/acme", site->folder);
    site->live = live_new(&(struct http_server_config){ 0 });
    struct app_server_config config = { .http = site->live->server,
                                        .root = with_root ? root : NULL,
                                        .acme_dir = acme };
    assert_int_equal(app_server_new(&config, &site->app, NULL), 0);
    live_start(site->live);
    return site;
}

static void site_close(struct site *site)
{
    live_free(site->live);
    app_server_free(site->app);
    char command[100];
    snprintf(command, sizeof(command), "rm -r %s", site->folder);
    assert_int_equal(system(command), 0);
    free(site);
}

static const char *talk(struct site *site, const char *request)
{
    return live_talk(&site->live->plain, request, answer, sizeof(answer));
}

static const char *body_of(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/** Copies the value of a field of the last answer. */
static const char *field_of(const char *name, char out[200])
{
    char start[60];
    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *at = strstr(answer, start);
    if (!at || at > body_of(answer))
        fail_msg("no %s in: %s", name, answer);
    at += strlen(start);
    snprintf(out, 200, "%.*s", (int)strcspn(at, "\r"), at);
    return out;
}

static void test_page_addresses_all_give_the_application(void **state)
{
    (void)state;
    struct site *site = site_open(false);
    static const char *const paths[] = { "/", "/r/daily", "/r/caf%C3%A9", "/call/ada", "/?x=1" };
    for (size_t i = 0; i < array_size(paths); i++) {
        char request[200];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n" CLOSE,
                 paths[i]);
        talk(site, request);
        expect_starts(answer, "HTTP/1.1 200 ");
        expect_has(answer, "Content-Type: text/html; charset=utf-8\r\n");
        expect_has(body_of(answer), "<html");
    }
    talk(site, GET("/r/") CLOSE);
    expect_starts(answer, "HTTP/1.1 404 ");
    talk(site, GET("/r/a/b") CLOSE);
    expect_starts(answer, "HTTP/1.1 404 ");
    site_close(site);
}

static void test_pages_carry_the_fields_that_protect_them(void **state)
{
    (void)state;
    struct site *site = site_open(false);
    talk(site, GET("/") CLOSE);
    char policy[200];
    expect_has(answer, "Content-Security-Policy: default-src 'self'; script-src 'self'; ");
    expect_has(answer, "frame-ancestors 'self'\r\n");
    expect_has(answer, "object-src 'none'; base-uri 'none';");
    assert_null(strstr(answer, "unsafe-inline"));
    expect_has(field_of("Permissions-Policy", policy),
               "camera=(self), microphone=(self), display-capture=(self)");
    assert_string_equal(field_of("Referrer-Policy", policy), "no-referrer");
    assert_string_equal(field_of("X-Content-Type-Options", policy), "nosniff");
    assert_string_equal(field_of("Cross-Origin-Opener-Policy", policy), "same-origin-allow-popups");
    assert_string_equal(field_of("Cache-Control", policy), "no-cache");
    site_close(site);
}

static void test_the_sdk_may_be_used_by_any_page(void **state)
{
    (void)state;
    struct site *site = site_open(false);
    talk(site, GET("/sdk/roost.js") CLOSE);
    expect_starts(answer, "HTTP/1.1 200 ");
    expect_has(answer, "Content-Type: text/javascript; charset=utf-8\r\n");
    expect_has(answer, "Access-Control-Allow-Origin: *\r\n");
    expect_has(answer, "Cross-Origin-Resource-Policy: cross-origin\r\n");
    talk(site, GET("/app/index.html") CLOSE);
    assert_null(strstr(answer, "Access-Control-Allow-Origin"));
    talk(site, GET("/sdk/nothing.js") CLOSE);
    expect_starts(answer, "HTTP/1.1 404 ");
    site_close(site);
}

static void test_assets_come_compressed_and_are_revalidated(void **state)
{
    (void)state;
    struct site *site = site_open(false);
    const struct static_asset *asset = static_assets_find(&static_assets_embedded, "sdk/roost.js");
    assert_non_null(asset);
    char url[300], plain_etag[200], etag[200], request[400];
    talk(site, GET("/sdk/roost.js") CLOSE);
    field_of("ETag", plain_etag);
    assert_int_equal(strlen(body_of(answer)), asset->identity.size);
    static const char *const codings[] = { "gzip", "br" };
    for (size_t i = 0; i < array_size(codings); i++) {
        snprintf(request, sizeof(request), GET("/sdk/roost.js") "Accept-Encoding: %s\r\n" CLOSE,
                 codings[i]);
        int fd = live_connect(&site->live->plain);
        live_send_text(fd, request);
        size_t size = live_read(fd, answer, sizeof(answer) - 1);
        answer[size] = '\0';
        close(fd);
        char coding[200], length[200];
        assert_string_equal(field_of("Content-Encoding", coding), codings[i]);
        assert_string_equal(field_of("Vary", coding), "Accept-Encoding");
        assert_true(strtoul(field_of("Content-Length", length), NULL, 10) <
                    asset->identity.size * 9 / 10);
        assert_string_not_equal(field_of("ETag", etag), plain_etag);
        snprintf(request, sizeof(request),
                 GET("/sdk/roost.js") "Accept-Encoding: %s\r\nIf-None-Match: %s\r\n" CLOSE,
                 codings[i], etag);
        talk(site, request);
        expect_starts(answer, "HTTP/1.1 304 ");
        assert_string_equal(body_of(answer), "");
    }
    // curl undoes both, over TLS
    for (size_t i = 0; i < array_size(codings); i++) {
        snprintf(url, sizeof(url),
                 "-H 'Accept-Encoding: %s' --output - https://localhost:%u/sdk/roost.js%s",
                 codings[i], site->live->secure.port, i == 0 ? " | gunzip" : " | brotli -d");
        assert_int_equal(live_curl(url, answer, sizeof(answer)), 0);
        assert_int_equal(strlen(answer), asset->identity.size);
        assert_memory_equal(answer, asset->identity.data, asset->identity.size);
    }
    snprintf(request, sizeof(request), "GET /sdk/roost.js?v=%.12s HTTP/1.1\r\nHost: a\r\n" CLOSE,
             asset->etag + 1);
    talk(site, request);
    expect_has(answer, "Cache-Control: public, max-age=31536000, immutable\r\n");
    talk(site, GET("/sdk/roost.js?v=00000000") CLOSE);
    expect_has(answer, "Cache-Control: no-cache\r\n");
    site_close(site);
}

static void test_the_users_site_lies_over_the_application(void **state)
{
    (void)state;
    struct site *site = site_open(true);
    talk(site, GET("/") CLOSE);
    expect_has(answer, "script-src 'self'"); // no index.html of their own yet
    write_text(site, "root/index.html", "<script>theirs()</script>");
    make_folder(site, "root/blog");
    write_text(site, "root/blog/index.html", "the blog");
    write_text(site, "root/50%.txt", "half");
    talk(site, GET("/") CLOSE);
    assert_string_equal(body_of(answer), "<script>theirs()</script>");
    // their own scripts are theirs; who may frame them is still ours
    expect_has(answer, "Content-Security-Policy: frame-ancestors 'self'\r\n");
    expect_has(answer, "Last-Modified: ");
    talk(site, GET("/r/room") CLOSE);
    expect_has(answer, "script-src 'self'");
    talk(site, GET("/blog/") CLOSE);
    assert_string_equal(body_of(answer), "the blog");
    talk(site, GET("/blog") CLOSE);
    expect_starts(answer, "HTTP/1.1 308 ");
    expect_has(answer, "Location: /blog/\r\n");
    talk(site, GET("/50%25.txt") CLOSE);
    assert_string_equal(body_of(answer), "half");
    talk(site, "HEAD /50%25.txt HTTP/1.1\r\nHost: a\r\n" CLOSE);
    expect_has(answer, "Content-Length: 4\r\n");
    assert_string_equal(body_of(answer), "");
    site_close(site);
}

static void test_nothing_above_the_site_is_reachable(void **state)
{
    (void)state;
    struct site *site = site_open(true);
    write_text(site, "root/.hidden", "hidden");
    make_folder(site, "root/.git");
    write_text(site, "root/.git/config", "hidden");
    char link[200];
    snprintf(link, sizeof(link), "%s/root/link", site->folder);
    assert_int_equal(symlink("../secret", link), 0);
    snprintf(link, sizeof(link), "%s/root/absolute", site->folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    snprintf(link, sizeof(link), "%s/root/pipe", site->folder);
    assert_int_equal(mkfifo(link, 0644), 0);
    static const char *const paths[] = {
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/a/..%2f..%2fsecret",
        "/%2fetc%2fpasswd",
        "//etc/passwd",
        "/link",
        "/absolute",
        "/.hidden",
        "/.git/config",
        "/a/../.hidden",
        "/pipe",
        "/..%5csecret",
        "/%00",
        "/secret%00.html",
        "/./../secret",
        "/.well-known/acme-challenge/..%2f..%2fsecret",
        "/.well-known/acme-challenge/%2e%2e",
        "/app/../../secret",
        "/app/%2e%2e%2f%2e%2e%2fsecret",
    };
    for (size_t i = 0; i < array_size(paths); i++) {
        char request[200];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n" CLOSE,
                 paths[i]);
        talk(site, request);
        if (strncmp(answer, "HTTP/1.1 404 ", 13) != 0 && strncmp(answer, "HTTP/1.1 400 ", 13) != 0)
            fail_msg("%s: %s", paths[i], answer);
    }
    site_close(site);
}

static void test_files_come_in_parts(void **state)
{
    (void)state;
    struct site *site = site_open(true);
    size_t size = 1500000;
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)('a' + i * 7 % 26);
    write_file(site, "root/film.mp4", data, size);
    talk(site, GET("/film.mp4") CLOSE);
    expect_has(answer, "Content-Type: video/mp4\r\n");
    assert_int_equal(strlen(body_of(answer)), size);
    assert_memory_equal(body_of(answer), data, size);
    char etag[200], request[400];
    field_of("ETag", etag);
    talk(site, GET("/film.mp4") "Range: bytes=1000000-1000009\r\n" CLOSE);
    expect_starts(answer, "HTTP/1.1 206 ");
    expect_has(answer, "Content-Range: bytes 1000000-1000009/1500000\r\n");
    assert_int_equal(strlen(body_of(answer)), 10);
    assert_memory_equal(body_of(answer), data + 1000000, 10);
    talk(site, GET("/film.mp4") "Range: bytes=1500000-\r\n" CLOSE);
    expect_starts(answer, "HTTP/1.1 416 ");
    expect_has(answer, "Content-Range: bytes */1500000\r\n");
    snprintf(request, sizeof(request), GET("/film.mp4") "Range: bytes=-5\r\nIf-Range: %s\r\n" CLOSE,
             etag);
    talk(site, request);
    expect_starts(answer, "HTTP/1.1 206 ");
    assert_memory_equal(body_of(answer), data + size - 5, 5);
    write_file(site, "root/film.mp4", data, size - 1);
    talk(site, request);
    expect_starts(answer, "HTTP/1.1 200 ");
    free(data);
    site_close(site);
}

static void test_compressed_siblings_are_used_when_accepted(void **state)
{
    (void)state;
    struct site *site = site_open(true);
    write_text(site, "root/page.html", "plain");
    write_text(site, "root/page.html.br", "as brotli");
    write_text(site, "root/page.html.gz", "as gzip");
    talk(site, GET("/page.html") CLOSE);
    assert_string_equal(body_of(answer), "plain");
    expect_has(answer, "Vary: Accept-Encoding\r\n");
    talk(site, GET("/page.html") "Accept-Encoding: gzip, br\r\n" CLOSE);
    assert_string_equal(body_of(answer), "as brotli");
    expect_has(answer, "Content-Type: text/html; charset=utf-8\r\n");
    expect_has(answer, "Content-Encoding: br\r\n");
    talk(site, GET("/page.html") "Accept-Encoding: gzip\r\n" CLOSE);
    assert_string_equal(body_of(answer), "as gzip");
    talk(site, GET("/page.html") "Accept-Encoding: gzip, br\r\nRange: bytes=0-1\r\n" CLOSE);
    assert_string_equal(body_of(answer), "pl");
    site_close(site);
}

static void test_acme_challenges_are_served(void **state)
{
    (void)state;
    struct site *site = site_open(false);
    write_text(site, "acme/token-1_A", "token-1_A.thumbprint");
    talk(site, GET("/.well-known/acme-challenge/token-1_A") CLOSE);
    expect_starts(answer, "HTTP/1.1 200 ");
    assert_string_equal(body_of(answer), "token-1_A.thumbprint");
    talk(site, GET("/.well-known/acme-challenge/other") CLOSE);
    expect_starts(answer, "HTTP/1.1 404 ");
    site_close(site);
}

static void test_a_missing_folder_is_named(void **state)
{
    (void)state;
    struct live *live = live_new(&(struct http_server_config){ 0 });
    struct app_server *app = NULL;
    const char *failed = NULL;
    struct app_server_config config = { .http = live->server, .root = "/nonexistent/site" };
    assert_int_equal(app_server_new(&config, &app, &failed), -ENOENT);
    assert_string_equal(failed, "/nonexistent/site");
    assert_null(app);
    live_start(live);
    live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_addresses_all_give_the_application),
        cmocka_unit_test(test_pages_carry_the_fields_that_protect_them),
        cmocka_unit_test(test_the_sdk_may_be_used_by_any_page),
        cmocka_unit_test(test_assets_come_compressed_and_are_revalidated),
        cmocka_unit_test(test_the_users_site_lies_over_the_application),
        cmocka_unit_test(test_nothing_above_the_site_is_reachable),
        cmocka_unit_test(test_files_come_in_parts),
        cmocka_unit_test(test_compressed_siblings_are_used_when_accepted),
        cmocka_unit_test(test_acme_challenges_are_served),
        cmocka_unit_test(test_a_missing_folder_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
