/** Texts made from the options table; `make docs` writes them into the tree. */
#pragma once

#include "base/text.h"

enum options_doc {
    OPTIONS_DOC_SAMPLE,   /**< config/roost.conf.sample */
    OPTIONS_DOC_MAN,      /**< packaging/roost.1, commands included */
    OPTIONS_DOC_MARKDOWN, /**< docs/configuration.md */
};

void options_doc_write(enum options_doc doc, struct text_builder *out);
