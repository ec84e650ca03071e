/** Texts from user to user: which devices get them, whatever they speak. */
#pragma once

#include "base/compiler.h"

#define MESSAGE_TEXT_MAX 4096 /**< bytes of UTF-8 */
#define MESSAGE_ID_SIZE  27   /**< with terminator; ids sort by time */

struct call_device;
struct call_directory;

/** Valid within the call that hands it over. */
struct user_message {
    const char *id;
    const char *from;      /**< user name */
    const char *from_name; /**< display name */
    bool from_verified;
    const char *to;
    const char *text;
    int64_t sent_unix_ms;
    bool missed; /**< it waited until the user was there */
};

/** Who would get a message. */
struct message_audience {
    bool is_registered; /**< somebody has the name now */
    bool is_verified;   /**< and something vouches for it */
    size_t connected;   /**< devices that take messages */
    size_t away;        /**< others that take them, but whose connection is lost for the moment */
};

/** The devices of a user, but for `except` (NULL: all). */
struct message_audience message_audience(const struct call_directory *directory, const char *user,
                                         const struct call_device *except);
/**
 * Hands a message to the devices of `user` that take any, but for `except`. A device whose
 * connection is lost gets it when it comes back in time.
 */
void message_hand_over(const struct call_directory *directory, const char *user,
                       const struct user_message *message, const struct call_device *except);
/** Tells the devices of a user how much waits for it. */
void message_tell_missed(const struct call_directory *directory, const char *user, uint64_t calls,
                         uint64_t messages);
/** Notes with its devices whether more waits for a user than they were given. */
void message_note_more(const struct call_directory *directory, const char *user, bool more);
