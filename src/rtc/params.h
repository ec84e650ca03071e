/**
 * What was negotiated, as an immutable snapshot with a counted reference: the control thread makes
 * it from an answer, workers and peers keep it as long as they need it.
 */
#pragma once

#include "rtc/negotiate.h"

struct rtc_params;

/** A deep copy with one reference. Never NULL. */
struct rtc_params *rtc_params_new(const struct rtc_negotiated *negotiated);
/** Any thread that holds a reference; returns `params`. */
struct rtc_params *rtc_params_ref(struct rtc_params *params);
/** Accepts NULL; returns NULL. */
struct rtc_params *rtc_params_unref(struct rtc_params *params);
const struct rtc_negotiated *rtc_params_get(const struct rtc_params *params);
