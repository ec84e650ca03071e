// WHIP publishers and WHEP viewers: one HTTP request to come, one to go.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "signaling.h"

#define ANSWER_SIZE   (64u << 10)
#define RESOURCE_SIZE 128

struct signaling {
    struct signaling_shared *shared;
    char resource[RESOURCE_SIZE]; /**< path of the session */
};

static int connect_to(const struct net_address *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(server->port) };
    memcpy(&address.sin_addr, server->ip, 4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    perror("load: cannot connect to the server");
    if (fd >= 0)
        close(fd);
    return -1;
}

/** Sends a request and reads the whole answer to `answer`. `patient`: others go on meanwhile. */
static bool exchange(struct signaling_shared *shared, bool patient, const char *method,
                     const char *path, const char *body, char answer[ANSWER_SIZE])
{
    int fd = connect_to(&shared->server);
    if (fd < 0)
        return false;
    bool sent = dprintf(fd,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                        method, path, strlen(body), body) > 0;
    size_t size = 0;
    ssize_t count = sent ? 1 : -1;
    while (count > 0 && size < ANSWER_SIZE - 1) {
        if (patient)
            shared->wait(shared->owner, fd);
        count = recv(fd, answer + size, ANSWER_SIZE - 1 - size, patient ? MSG_DONTWAIT : 0);
        if (count > 0)
            size += (size_t)count;
        else if (count < 0 && errno == EAGAIN)
            count = 1; // somebody else was meant
    }
    answer[size] = '\0';
    close(fd);
    return count == 0;
}

/** Takes the session's path, and returns the answer's body; NULL, with a message, on refusal. */
static const char *read_created(struct signaling *client, const char *answer)
{
    const char *location = strstr(answer, "\r\nLocation: "), *body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 201", 12) == 0 && location && body &&
        sscanf(location, "\r\nLocation: %127s", client->resource) == 1)
        return body + 4;
    fprintf(stderr, "load: refused: %.40s\n", answer);
    return NULL;
}

static struct signaling *whip_open(struct signaling_shared *shared, struct media_client *media,
                                   uint32_t participant)
{
    struct signaling *client = memory_new(struct signaling);
    client->shared = shared;
    char path[64];
    if (media->feed_count > 0)
        snprintf(path, sizeof(path), "/whip/load/member-%x", participant);
    else // the feeds may begin later
        snprintf(path, sizeof(path), "/whep/load?wait=true");
    char *offer = media_client_describe(media);
    char *answer = memory_allocate(1, ANSWER_SIZE);
    const char *description = NULL;
    if (exchange(shared, true, "POST", path, offer, answer))
        description = read_created(client, answer);
    bool ok = description && media_client_start(media, description);
    free(offer);
    free(answer);
    if (ok)
        return client;
    free(client);
    return NULL;
}

/** Viewers have no say in what they are shown but its layers, which the server chooses. */
static bool whip_prefer(struct signaling *client, uint32_t large)
{
    (void)client;
    (void)large;
    return true;
}

static void whip_keep(struct signaling *client)
{
    (void)client;
}

static void whip_close(struct signaling *client)
{
    // the other clients are going, too: nothing of theirs may run
    char *answer = memory_allocate(1, ANSWER_SIZE);
    (void)exchange(client->shared, false, "DELETE", client->resource, "", answer);
    free(answer);
    free(client);
}

const struct signaling_kind signaling_whip = {
    .name = "whip",
    .open = whip_open,
    .prefer = whip_prefer,
    .keep = whip_keep,
    .close = whip_close,
};
