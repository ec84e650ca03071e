# Compiler flags of every target of ours: strict warnings as errors, hardening in release.
add_library(roost_flags INTERFACE)
target_include_directories(roost_flags INTERFACE "${CMAKE_SOURCE_DIR}/src"
                           "${CMAKE_BINARY_DIR}/generated")
target_compile_definitions(roost_flags INTERFACE _GNU_SOURCE ROOST_VERSION="${PROJECT_VERSION}")
target_compile_options(roost_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef -Werror
    -fno-strict-aliasing -fno-common -fvisibility=hidden)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    # statement expressions and __VA_OPT__ are the GNU dialect that we chose
    target_compile_options(roost_flags INTERFACE -Wno-gnu -Wno-shadow)
else()
    target_compile_options(roost_flags INTERFACE -Wlogical-op -Wno-shadow=compatible-local)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(roost_flags INTERFACE -fstack-protector-strong -fstack-clash-protection
        -fcf-protection -D_FORTIFY_SOURCE=2 -fPIE -g1)
    target_link_options(roost_flags INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
else()
    target_compile_options(roost_flags INTERFACE -g -fno-omit-frame-pointer)
endif()
if(ROOST_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()
if(ROOST_SANITIZE)
    target_compile_options(roost_flags INTERFACE -fsanitize=${ROOST_SANITIZE}
                           -fno-sanitize-recover=all)
    target_link_options(roost_flags INTERFACE -fsanitize=${ROOST_SANITIZE})
endif()
if(ROOST_FUZZ)
    target_compile_options(roost_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(roost_flags target)
    target_link_libraries(${target} PRIVATE roost_flags)
endfunction()
