# Third-party libraries, under the names that src/layers.txt uses in its "library" lines.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(QRENCODE REQUIRED IMPORTED_TARGET libqrencode)

set(roost_library_openssl PkgConfig::OPENSSL)
set(roost_library_jansson PkgConfig::JANSSON)
set(roost_library_zlib PkgConfig::ZLIB)
set(roost_library_qrencode PkgConfig::QRENCODE)

# optional: five times OpenSSL's AES-GCM on CPUs with VAES
find_library(IPSEC_MB_LIBRARY IPSec_MB)
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
set(roost_library_intel-ipsec-mb "")
if(IPSEC_MB_LIBRARY AND IPSEC_MB_INCLUDE AND CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    add_library(roost_ipsec_mb INTERFACE)
    target_link_libraries(roost_ipsec_mb INTERFACE "${IPSEC_MB_LIBRARY}")
    target_compile_definitions(roost_ipsec_mb INTERFACE ROOST_HAVE_IPSEC_MB=1)
    set(roost_library_intel-ipsec-mb roost_ipsec_mb)
endif()
