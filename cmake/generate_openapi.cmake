# src/admin/openapi.json as a text in the binary.
set(openapi_source "${CMAKE_SOURCE_DIR}/src/admin/openapi.json")
set(openapi_output "${CMAKE_BINARY_DIR}/generated/admin/openapi_text.c")
add_custom_command(
    OUTPUT "${openapi_output}"
    COMMAND python3 -B "${CMAKE_SOURCE_DIR}/tools/embed_text.py" "${openapi_source}"
            "${openapi_output}" openapi_text admin/openapi.h
    DEPENDS "${openapi_source}" "${CMAKE_SOURCE_DIR}/tools/embed_text.py"
    VERBATIM)
list(APPEND roost_generated_roost_admin "${openapi_output}")
