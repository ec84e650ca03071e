#include "room/resent.h"

bool resent_lately(const struct resent *resent, uint64_t now_us, uint16_t number,
                   uint64_t within_us)
{
    uint16_t place = number % RESENT_PLACES;
    return resent->at_us[place] > 0 && resent->numbers[place] == number &&
           now_us - resent->at_us[place] < within_us;
}

void resent_note(struct resent *resent, uint64_t now_us, uint16_t number)
{
    uint16_t place = number % RESENT_PLACES;
    resent->numbers[place] = number;
    resent->at_us[place] = now_us;
}
