#include "proto/http/http_framing.h"

static const struct {
    unsigned status;
    const char *label;
    const char *sentence;
} refusals[HTTP_REFUSAL_COUNT] = {
#define HTTP_REFUSAL(name, status, label, sentence)                                                \
    [HTTP_REFUSAL_##name] = { status, label, sentence },
#include "proto/http/http_refusal.def"
#undef HTTP_REFUSAL
};

unsigned http_refusal_status(enum http_refusal refusal)
{
    return refusals[refusal].status;
}

const char *http_refusal_sentence(enum http_refusal refusal)
{
    return refusals[refusal].sentence;
}

const char *http_refusal_label(enum http_refusal refusal)
{
    return refusals[refusal].label;
}
