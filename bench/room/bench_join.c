// links: room base
//
// Prints what one viewer of a broadcast costs the control thread's rooms (without SDP and media),
// by how many are there already: bench_join [VIEWERS...]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "room/directory.h"

#define MEASURED 500

static media_session last_session;

static int open_session(struct media_control *self unused,
                        const struct media_session_config *config unused,
                        media_session *ret_session)
{
    *ret_session = ++last_session;
    return 0;
}

static void close_session(struct media_control *self unused, media_session session unused)
{
}

/** One audio and one video section, in the direction that the offer names. */
static int answer_offer(struct media_control *self unused, media_session session unused,
                        struct bytes sdp, struct media_answer *ret_answer,
                        const char **ret_problem unused)
{
    enum media_role role = text_equal(sdp, "send") ? MEDIA_PUBLISH : MEDIA_SLOT;
    *ret_answer = (struct media_answer){ .sdp = memory_copy("", 1),
                                         .section_count = 2,
                                         .sections = memory_new_array(struct media_section, 2) };
    ret_answer->sections[0] = (struct media_section){ "0", MEDIA_AUDIO, role };
    ret_answer->sections[1] = (struct media_section){ "1", MEDIA_VIDEO, role };
    return 0;
}

static int set_slot(struct media_control *self unused, media_session subscriber unused,
                    const char *slot unused, media_session publisher unused, const char *mid unused)
{
    return 0;
}

static int set_wish(struct media_control *self unused, media_session subscriber unused,
                    const char *slot unused, const struct media_wish *wish unused)
{
    return 0;
}

static int block(struct media_control *self unused, media_session publisher unused,
                 const char *mid unused, bool blocked unused)
{
    return 0;
}

static bool no_event(struct media_control *self unused, struct media_event *ret_event unused)
{
    return false;
}

static void ignore(struct room_observer *self unused, const struct room_event *event unused)
{
}

static struct room_observer observer = { ignore };

static struct room_member *join(struct room_directory *rooms, bool viewer)
{
    struct room *room;
    struct room_member *member;
    struct media_answer answer;
    const char *problem;
    const struct room_join form = { .name = "name",
                                    .hidden = viewer,
                                    .own_events_only = viewer,
                                    .auto_subscribe = viewer,
                                    .observer = &observer };
    const struct room_offer offer = { .sdp = bytes_of_text(viewer ? "receive" : "send") };
    if (room_directory_open(rooms, 0, "stage", true, &room) < 0 ||
        room_join(room, &form, &member) < 0 ||
        room_member_offer(member, &offer, &answer, &problem) < 0)
        abort();
    free(answer.sdp);
    free(answer.sections);
    room_directory_settle(rooms, 0);
    return member;
}

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void measure(unsigned viewers)
{
    struct media_control media = { .session_open = open_session,
                                   .session_close = close_session,
                                   .offer = answer_offer,
                                   .slot_set = set_slot,
                                   .slot_wish = set_wish,
                                   .publication_block = block,
                                   .event = no_event };
    struct random random;
    struct room_directory rooms;
    random_seeded_init(&random, 1);
    room_directory_init(&rooms, &(struct room_directory_config){ .media = &media,
                                                                 .random = &random,
                                                                 .room_count_max = 1,
                                                                 .member_count_max = 1,
                                                                 .viewer_count_max = UINT32_MAX,
                                                                 .track_count_max = 2,
                                                                 .audio_slot_count_max = 16,
                                                                 .video_slot_count_max = 49 });
    (void)join(&rooms, false);
    for (unsigned i = 0; i < viewers; i++)
        (void)join(&rooms, true);
    struct room_member *members[MEASURED];
    double began_us = now_us();
    for (int i = 0; i < MEASURED; i++)
        members[i] = join(&rooms, true);
    double joined_us = now_us();
    for (int i = 0; i < MEASURED; i++) {
        room_leave(members[i], 0, ROOM_LEFT_LEFT);
        room_directory_settle(&rooms, 0);
    }
    printf("%8u viewers: %8.2f us to join, %8.2f us to leave\n", viewers,
           (joined_us - began_us) / MEASURED, (now_us() - joined_us) / MEASURED);
    room_directory_done(&rooms);
}

int main(int argc, char **argv)
{
    static const unsigned usual[] = { 100, 1000, 10000, 20000 };
    for (int i = 1; i < argc; i++)
        measure((unsigned)strtoul(argv[i], NULL, 10));
    for (size_t i = 0; argc == 1 && i < array_size(usual); i++)
        measure(usual[i]);
    return 0;
}
