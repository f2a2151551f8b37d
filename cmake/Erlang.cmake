# The Erlang/OTP to build with: the target ep_erl_nif has the directory of erl_nif.h, ep_compile_erlang runs the compiler.
# Nothing is linked: the VM that loads us provides every enif function.

find_program(ERLANG_ERL erl)
find_program(ERLANG_ESCRIPT escript)
if(NOT ERLANG_ERL OR NOT ERLANG_ESCRIPT)
    message(FATAL_ERROR "No erl and escript on PATH. Install Erlang/OTP 25 or newer (Debian: erlang-base erlang-dev), "
                        "or run tools/setup.")
endif()

if(NOT ERLANG_INCLUDE_DIR)
    execute_process(
        COMMAND "${ERLANG_ERL}" -noshell -noinput -eval "io:put_chars(code:root_dir()), halt()."
        OUTPUT_VARIABLE erlang_root
        COMMAND_ERROR_IS_FATAL ANY)
    find_path(ERLANG_INCLUDE_DIR erl_nif.h PATHS "${erlang_root}/usr/include" NO_DEFAULT_PATH)
    if(NOT ERLANG_INCLUDE_DIR)
        message(FATAL_ERROR "Erlang is installed in ${erlang_root}, but without usr/include/erl_nif.h. Install its "
                            "headers (Debian: erlang-dev, Fedora: erlang-erts, Alpine: erlang-dev), or run tools/setup.")
    endif()
endif()

add_library(ep_erl_nif INTERFACE)
target_include_directories(ep_erl_nif SYSTEM INTERFACE "${ERLANG_INCLUDE_DIR}")

# Compiles directories of modules into `ebin` as part of `all`; only what changed is compiled again.
function(ep_compile_erlang target ebin)
    cmake_parse_arguments(arg "" "APP_SRC" "DIRECTORIES;DEPENDS" ${ARGN})
    list(TRANSFORM arg_DIRECTORIES APPEND "/*.[eh]rl" OUTPUT_VARIABLE patterns)
    file(GLOB sources CONFIGURE_DEPENDS ${patterns})
    set(options --out "${ebin}")
    if(CMAKE_COMPILE_WARNING_AS_ERROR)
        list(APPEND options --warnings-as-errors)
    endif()
    if(arg_APP_SRC)
        list(APPEND options --app-src "${arg_APP_SRC}")
    endif()
    set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}.stamp")
    set(compiler "${PROJECT_SOURCE_DIR}/tools/compile_erlang")
    add_custom_command(
        OUTPUT "${stamp}"
        COMMAND "${ERLANG_ESCRIPT}" "${compiler}" ${options} ${arg_DIRECTORIES}
        COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
        DEPENDS ${sources} ${arg_APP_SRC} "${compiler}" ${arg_DEPENDS}
        COMMENT "Compiling Erlang modules of ${target}"
        VERBATIM)
    add_custom_target(${target} ALL DEPENDS "${stamp}")
endfunction()
