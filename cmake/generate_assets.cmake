# The files of web/app and web/sdk become part of the server (tools/embed.py).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(asset_patterns)
foreach(folder app sdk)
    foreach(extension html js mjs css svg png jpg webp ico json webmanifest txt woff2 wasm mp3 ogg
                      opus wav)
        list(APPEND asset_patterns "${CMAKE_SOURCE_DIR}/web/${folder}/*.${extension}")
    endforeach()
endforeach()
file(GLOB_RECURSE asset_files RELATIVE "${CMAKE_SOURCE_DIR}/web" CONFIGURE_DEPENDS
     ${asset_patterns})
list(FILTER asset_files EXCLUDE REGEX "(^|/)(node_modules|tests?|\\.[^/]*)/|(^|/)(tsconfig|package(-lock)?)\\.json$")
list(SORT asset_files)
set(asset_output "${CMAKE_BINARY_DIR}/generated/server/static_assets_embedded.c")
list(TRANSFORM asset_files PREPEND "${CMAKE_SOURCE_DIR}/web/" OUTPUT_VARIABLE asset_paths)
add_custom_command(
    OUTPUT "${asset_output}"
    COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tools/embed.py" "${CMAKE_SOURCE_DIR}/web"
            "${asset_output}" ${asset_files}
    DEPENDS "${CMAKE_SOURCE_DIR}/tools/embed.py" ${asset_paths}
    COMMENT "Embedding web/"
    VERBATIM)
list(APPEND roost_generated_roost_server "${asset_output}")
