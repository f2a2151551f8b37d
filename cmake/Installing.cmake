# cmake --install: the application as OTP expects it below lib/erlang/lib, the ABI headers below include. Backends are
# components of their own (cmake --install build --component worker-cp311), so that a distribution can package them apart.

install(DIRECTORY core/include/erlang_python DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT headers)

set(app "${ERLANG_PYTHON_INSTALL_APP_DIR}")
install(TARGETS py_nif LIBRARY DESTINATION "${app}/priv" COMPONENT core)
if(ERLANG_PYTHON_COMPILE_ERLANG)
    install(DIRECTORY "${EP_EBIN_DIR}/" DESTINATION "${app}/ebin" COMPONENT core
        FILES_MATCHING PATTERN "*.beam" PATTERN "*.app")
endif()
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
