# The VM is not built with sanitizers, so their runtime has to be there before it starts: tests/in_vm preloads it.

set(EP_TEST_PRELOAD "")
if(ERLANG_PYTHON_SANITIZE STREQUAL "address")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        set(runtime libasan.so)
    else()
        set(runtime "libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so")
    endif()
    # libstdc++ too: the runtime looks for __cxa_throw once, and a program in C does not have it yet.
    foreach(library IN ITEMS ${runtime} libstdc++.so.6)
        execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -print-file-name=${library}
            OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
        if(NOT IS_ABSOLUTE "${path}")
            message(FATAL_ERROR "The compiler has no ${library}; install its sanitizer runtime (Debian: libasan8, clang).")
        endif()
        list(APPEND EP_TEST_PRELOAD "${path}")
    endforeach()
    list(JOIN EP_TEST_PRELOAD " " EP_TEST_PRELOAD)
endif()

# What tests/in_vm reads, so that a test can be started by hand as well as by ctest.
file(CONFIGURE OUTPUT environment @ONLY CONTENT [[
EP_TEST_PRELOAD="@EP_TEST_PRELOAD@"
ERL="@ERLANG_ERL@"
export EP_TEST_ABI_DIR="@CMAKE_CURRENT_BINARY_DIR@/abi"
export EP_TEST_CC="@CMAKE_C_COMPILER@"
export EP_TEST_INCLUDES="@PROJECT_SOURCE_DIR@/core/include:@ERLANG_INCLUDE_DIR@"
]])
