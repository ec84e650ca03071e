# `make install`: the program, its manual page, the systemd unit and the sample configuration.
include(GNUInstallDirs)
configure_file("${CMAKE_SOURCE_DIR}/packaging/roost.service" "${CMAKE_BINARY_DIR}/roost.service" @ONLY)
install(TARGETS roost RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${CMAKE_SOURCE_DIR}/packaging/roost.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${CMAKE_BINARY_DIR}/roost.service" DESTINATION "lib/systemd/system")
install(FILES "${CMAKE_SOURCE_DIR}/config/roost.conf.sample" "${CMAKE_SOURCE_DIR}/docs/configuration.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES "${CMAKE_SOURCE_DIR}/config/roost.conf.sample" DESTINATION "share/roost")
# what the operator has changed stays; the program reads /etc whatever the prefix
install(CODE "
    set(target \"\$ENV{DESTDIR}/etc/roost/roost.conf\")
    if(EXISTS \"\${target}\")
        message(STATUS \"Kept: \${target}\")
    else()
        message(STATUS \"Installing: \${target}\")
        file(COPY \"${CMAKE_SOURCE_DIR}/packaging/roost.conf\" DESTINATION \"\$ENV{DESTDIR}/etc/roost\")
    endif()")
