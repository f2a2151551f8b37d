# What a build can be told. Every option has a default that suits a fresh checkout.

include(GNUInstallDirs)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()

set(ERLANG_PYTHON_PYTHONS "" CACHE STRING
    "Pythons to build backends for: versions (3.11, 3.14t) or paths of executables; empty: the python3 of this system")
set(ERLANG_PYTHON_BACKENDS "" CACHE STRING
    "Backends to build: worker, owngil, freethreaded; empty: all that exist and that the Python can do")
set(ERLANG_PYTHON_PLUGINS "all" CACHE STRING "Plugins to build: names of folders in plugins/, 'all' or 'none'")

set(ERLANG_PYTHON_APP_DIR "${CMAKE_BINARY_DIR}/lib/erlang_python" CACHE PATH
    "Where the application is assembled: ebin and priv")
set(ERLANG_PYTHON_SYSTEM_DIR "${CMAKE_INSTALL_PREFIX}/lib/erlang_python" CACHE PATH
    "Where the core looks for backends and plugins that were installed by themselves")
set(ERLANG_PYTHON_INSTALL_APP_DIR "lib/erlang/lib/erlang_python-${PROJECT_VERSION}" CACHE STRING
    "Where the application is installed, below the prefix")

option(ERLANG_PYTHON_COMPILE_ERLANG "Compile the Erlang modules (rebar3 and mix do that themselves)" ON)
option(ERLANG_PYTHON_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})

set(ERLANG_PYTHON_SANITIZE "" CACHE STRING "Empty, 'address' (with undefined behaviour) or 'thread'")
set_property(CACHE ERLANG_PYTHON_SANITIZE PROPERTY STRINGS "" address thread)

set(EP_PRIV_DIR "${ERLANG_PYTHON_APP_DIR}/priv")
set(EP_EBIN_DIR "${ERLANG_PYTHON_APP_DIR}/ebin")
