# cmake --install: the application as OTP expects it below lib/erlang/lib, the ABI headers below include, and what finds
# them for CMake and pkg-config. A prefix can be moved. Backends and plugins are components of their own (cmake --install
# build --component worker-cp311), so that a distribution can package them apart.

install(DIRECTORY core/include/erlang_python DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT headers)

set(app "${ERLANG_PYTHON_INSTALL_APP_DIR}")

# For plugins and backends that are built elsewhere.
include(CMakePackageConfigHelpers)
set(plugin_dir "${app}/priv/plugins")
set(backend_dir "${app}/priv/backends")
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/erlang_python")
configure_package_config_file(cmake/package/erlang_python-config.cmake.in package/erlang_python-config.cmake
    INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR plugin_dir backend_dir)
write_basic_package_version_file(package/erlang_python-config-version.cmake
    COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/package/erlang_python-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/package/erlang_python-config-version.cmake"
    DESTINATION "${package_dir}" COMPONENT headers)

# An absolute directory stays one; others are below the prefix.
function(ep_below_prefix variable directory)
    if(IS_ABSOLUTE "${directory}")
        set(${variable} "${directory}" PARENT_SCOPE)
    else()
        set(${variable} "\${prefix}/${directory}" PARENT_SCOPE)
    endif()
endfunction()
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
ep_below_prefix(EP_PKGCONFIG_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
ep_below_prefix(EP_PKGCONFIG_PLUGINDIR "${plugin_dir}")
ep_below_prefix(EP_PKGCONFIG_BACKENDDIR "${backend_dir}")
cmake_path(ABSOLUTE_PATH pkgconfig_dir BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE from)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${from}" OUTPUT_VARIABLE EP_PREFIX_FROM_PKGCONFIG)
configure_file(cmake/package/erlang_python.pc.in package/erlang_python.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/package/erlang_python.pc" DESTINATION "${pkgconfig_dir}" COMPONENT headers)

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
