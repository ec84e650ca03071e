# src/signal/native/schema/ -> typed structs, parsers and writers of the native protocol.
# docs/protocol.md and web/sdk/protocol.d.ts are committed; the test "schema/documents" fails when
# they are not what the schema says, and the target schema_documents writes them.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB schema_inputs CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/signal/native/schema/*")
set(schema_tools "${CMAKE_SOURCE_DIR}/tools/generate_schema.py" "${CMAKE_SOURCE_DIR}/tools/schema_c.py"
    "${CMAKE_SOURCE_DIR}/tools/schema_docs.py" "${CMAKE_SOURCE_DIR}/tools/schema_model.py")
set(schema_folder "${CMAKE_BINARY_DIR}/generated/signal/native")
set(schema_run "${Python3_EXECUTABLE}" -B "${CMAKE_SOURCE_DIR}/tools/generate_schema.py"
    "${CMAKE_SOURCE_DIR}/src/signal/native/schema")
set(schema_documents --docs "${CMAKE_SOURCE_DIR}/docs/protocol.md"
    --typescript "${CMAKE_SOURCE_DIR}/web/sdk/protocol.d.ts")
add_custom_command(
    OUTPUT "${schema_folder}/wire_types.h" "${schema_folder}/wire_tables.c"
    COMMAND ${schema_run} --c "${schema_folder}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${schema_folder}/wire_types.h" "${schema_folder}/wire_tables.c"
    DEPENDS ${schema_inputs} ${schema_tools}
    COMMENT "Generating the native protocol from its schema")
list(APPEND roost_generated_roost_signal_native "${schema_folder}/wire_types.h"
     "${schema_folder}/wire_tables.c")
add_custom_target(schema_documents COMMAND ${schema_run} ${schema_documents})
if(ROOST_TESTS)
    add_test(NAME "schema/documents" COMMAND ${schema_run} ${schema_documents} --check)
endif()
