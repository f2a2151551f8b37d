# cmake --install: the application as OTP expects it below lib/erlang/lib, the ABI headers below include. Backends are
# components of their own (cmake --install build --component worker-cp311), so that a distribution can package them apart.

install(DIRECTORY core/include/erlang_python DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT headers)

set(app "${ERLANG_PYTHON_INSTALL_APP_DIR}")
install(TARGETS py_nif LIBRARY DESTINATION "${app}/priv" COMPONENT core)
if(ERLANG_PYTHON_COMPILE_ERLANG)
    install(DIRECTORY "${EP_EBIN_DIR}/" DESTINATION "${app}/ebin" COMPONENT core
        FILES_MATCHING PATTERN "*.beam" PATTERN "*.app")
endif()
# The command finds the application by the way from one to the other, so that a prefix can be moved.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_BINDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE bin)
cmake_path(ABSOLUTE_PATH app BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE EP_APPLICATION_FROM_BIN)
cmake_path(RELATIVE_PATH EP_APPLICATION_FROM_BIN BASE_DIRECTORY "${bin}")
configure_file(bin/erlang_python bin/erlang_python @ONLY)
install(PROGRAMS "${CMAKE_CURRENT_BINARY_DIR}/bin/erlang_python" DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT core)
install(DIRECTORY python/ DESTINATION "${app}/priv" COMPONENT core
    FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)

get_property(backends GLOBAL PROPERTY EP_BACKENDS)
foreach(name IN LISTS backends)
    install(TARGETS ${name} LIBRARY DESTINATION "${app}/priv/backends" COMPONENT ${name})
    install(FILES "${EP_PRIV_DIR}/backends/${name}.json" DESTINATION "${app}/priv/backends" COMPONENT ${name})
endforeach()

get_property(plugins GLOBAL PROPERTY EP_PLUGINS)
foreach(name IN LISTS plugins)
    install(TARGETS plugin_${name} LIBRARY DESTINATION "${app}/priv/plugins" COMPONENT plugin-${name})
    install(FILES "${EP_PRIV_DIR}/plugins/${name}.json" DESTINATION "${app}/priv/plugins" COMPONENT plugin-${name})
endforeach()
