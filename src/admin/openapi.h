/** The OpenAPI document of the control API, src/admin/openapi.json. */
#pragma once

#include "base/bytes.h"

extern const struct bytes openapi_text;
