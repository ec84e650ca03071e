#include "proto/ws/ws_connection.h"

static const struct {
    uint16_t code;
    const char *label;
    const char *reason;
} refusals[WS_REFUSAL_COUNT] = {
#define WS_REFUSAL(name, code, label, reason) [WS_REFUSAL_##name] = { code, label, reason },
#include "proto/ws/ws_refusal.def"
#undef WS_REFUSAL
};

uint16_t ws_refusal_code(enum ws_refusal refusal)
{
    return refusals[refusal].code;
}

const char *ws_refusal_reason(enum ws_refusal refusal)
{
    return refusals[refusal].reason;
}

const char *ws_refusal_label(enum ws_refusal refusal)
{
    return refusals[refusal].label;
}
