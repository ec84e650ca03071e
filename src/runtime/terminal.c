#include "runtime/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/memory.h"

bool terminal_is(int fd)
{
    return isatty(fd) == 1;
}

unsigned terminal_columns(int fd)
{
    struct winsize size = { 0 };
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

bool terminal_has_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return terminal_is(fd) && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

#define KEY_INTERRUPT  3
#define KEY_END        4
#define KEY_BACKSPACE  8
#define KEY_ERASE_LINE 21
#define KEY_DELETE     127

/** Before `length`, one character less: UTF-8 has several bytes for one. */
static size_t without_last(const char *text, size_t length)
{
    while (length > 0 && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
        length--;
    return length > 0 ? length - 1 : 0;
}

static int read_hidden_line(int fd, char *out, size_t capacity)
{
    size_t length = 0;
    for (;;) {
        char key;
        ssize_t got = read(fd, &key, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0 || key == KEY_INTERRUPT || (key == KEY_END && length == 0))
            return -ECANCELED;
        if (key == '\n' || key == '\r') {
            out[length] = '\0';
            return (int)length;
        }
        if (key == KEY_BACKSPACE || key == KEY_DELETE)
            length = without_last(out, length);
        else if (key == KEY_ERASE_LINE)
            length = 0;
        else if (length + 1 == capacity)
            return -ENOSPC;
        else
            out[length++] = key;
    }
}

/** The prompt is a courtesy: a terminal that cannot be written to can still be read from. */
static void show(int fd, const char *text)
{
    ssize_t written = write(fd, text, strlen(text));
    (void)written;
}

int terminal_ask_secret(const char *prompt, char *out, size_t capacity)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -ENOTTY;
    struct termios before;
    int result = tcgetattr(fd, &before) < 0 ? -ENOTTY : 0;
    struct termios hidden = before;
    // keys one by one, signals too: no interrupt may leave the terminal without echo
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    if (result == 0 && tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
        result = -ENOTTY;
    if (result == 0) {
        show(fd, prompt);
        result = read_hidden_line(fd, out, capacity);
        show(fd, "\n");
        tcsetattr(fd, TCSAFLUSH, &before);
    }
    close(fd);
    if (result < 0)
        memory_wipe(out, capacity);
    return result;
}
