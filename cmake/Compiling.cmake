# How C and C++ are compiled here. CMAKE_COMPILE_WARNING_AS_ERROR is left to the presets: a warning of next year's
# compiler must not stop somebody who only has this project as a dependency.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # Python.h and erl_nif.h use them
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

include(CheckIPOSupported)
check_ipo_supported(RESULT lto_works OUTPUT lto_error LANGUAGES CXX)
if(lto_works AND NOT ERLANG_PYTHON_SANITIZE)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE ON)
endif()

add_library(ep_compiling INTERFACE)
target_compile_options(ep_compiling INTERFACE -Wall -Wextra)
target_link_libraries(ep_compiling INTERFACE Threads::Threads)

if(ERLANG_PYTHON_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined -fno-omit-frame-pointer)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        # Our objects are loaded by a VM that knows nothing of sanitizers: the runtime must be a library to preload.
        list(APPEND sanitize -shared-libsan)
    endif()
elseif(ERLANG_PYTHON_SANITIZE STREQUAL "thread")
    set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(ERLANG_PYTHON_SANITIZE)
    message(FATAL_ERROR "ERLANG_PYTHON_SANITIZE is '${ERLANG_PYTHON_SANITIZE}'; it takes 'address', 'thread' or nothing.")
endif()
if(sanitize AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The compiler's own manual: with sanitizers this warning is often wrong, in libstdc++ too.
    list(APPEND quiet -Wno-maybe-uninitialized)
endif()
target_compile_options(ep_compiling INTERFACE ${sanitize} ${quiet})
target_link_options(ep_compiling INTERFACE ${sanitize})

# What the VM, or the core, opens with dlopen. Symbols of the VM and of libpython are found at run time, so nothing is
# linked that could bring a second libpython along. Never unloaded: threads of ours run in this code until the VM exits.
function(ep_loadable target directory)
    set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY "${directory}")
    target_link_libraries(${target} PRIVATE ep_compiling)
    if(APPLE)
        target_link_options(${target} PRIVATE -undefined dynamic_lookup)
    else()
        set(exports "${PROJECT_SOURCE_DIR}/cmake/exports.map")
        set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${exports}")
        target_link_options(${target} PRIVATE
            -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now "-Wl,--version-script=${exports}")
    endif()
endfunction()
