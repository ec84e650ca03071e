#include "admin/options_int.h"

#define FIELD_NAME_BOOL(key)      key
#define FIELD_NAME_NUMBER(key)    key
#define FIELD_NAME_PORT(key)      key
#define FIELD_NAME_SIZE(key)      key
#define FIELD_NAME_DURATION(key)  key##_us
#define FIELD_NAME_TEXT(key)      key
#define FIELD_NAME_PATH(key)      key
#define FIELD_NAME_SECRET(key)    key
#define FIELD_NAME_ENUM(key)      key
#define FIELD_NAME_LIST(key)      key
#define FIELD_NAME_ADDRESS(key)   key
#define FIELD_NAME_ADDRESSES(key) key
#define FIELD_NAME_NETWORKS(key)  key

#define RELOADS_RELOAD  true
#define RELOADS_RESTART false

const struct option_row option_rows[] = {
#define SECTION(name, help)
#define OPTION(section_name, key_name, type_name, default_value, limits_text, reload, help_text)   \
    { .type = OPTION_##type_name,                                                                  \
      .section = #section_name,                                                                    \
      .key = #key_name,                                                                            \
      .default_text = (default_value),                                                             \
      .limits = (limits_text),                                                                     \
      .reloadable = RELOADS_##reload,                                                              \
      .help = (help_text),                                                                         \
      .offset = offsetof(struct roost_options, section_name.FIELD_NAME_##type_name(key_name)) },
#define SECTION_END(name)
#include "admin/options.def"
#undef SECTION
#undef OPTION
#undef SECTION_END
};

const char *option_section_help(const char *section)
{
#define SECTION(name, help)                                                                        \
    if (text_equal(bytes_of_text(section), #name))                                                 \
        return (help);
#define OPTION(section_name, key_name, type_name, default_value, limits_text, reload, help_text)
#define SECTION_END(name)
#include "admin/options.def"
#undef SECTION
#undef OPTION
#undef SECTION_END
    return "";
}

const struct option_row *option_find(struct bytes section, struct bytes key)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (text_equal(section, option_rows[i].section) && text_equal(key, option_rows[i].key))
            return &option_rows[i];
    }
    return NULL;
}

const char *option_section_find(struct bytes section)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (text_equal(section, option_rows[i].section))
            return option_rows[i].section;
    }
    return NULL;
}
