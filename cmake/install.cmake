# `make install`: the program, its manual page, the systemd unit and the sample configuration.
include(GNUInstallDirs)
install(TARGETS roost RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${CMAKE_SOURCE_DIR}/packaging/roost.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${CMAKE_SOURCE_DIR}/config/roost.conf.sample" "${CMAKE_SOURCE_DIR}/docs/configuration.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

set(roost_packaging "${CMAKE_SOURCE_DIR}/packaging")
set(roost_bindir "${CMAKE_INSTALL_BINDIR}")
configure_file("${CMAKE_SOURCE_DIR}/cmake/install_late.cmake.in"
               "${CMAKE_BINARY_DIR}/install_late.cmake" @ONLY)
install(SCRIPT "${CMAKE_BINARY_DIR}/install_late.cmake")
