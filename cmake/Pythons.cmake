# The Pythons to build backends for. Each is asked about itself; nothing is guessed from its path.
#
# Afterwards EP_PYTHONS lists ABI tags (cp311, cp314t), and of each tag T these are set: EP_PYTHON_T_version (3.11.2),
# _free_threading, _include, _libpython, _executable; the target ep_python_T has the include directory.

# Sets `out` to a JSON text that may have a key "problem".
function(ep_ask_python executable out)
    execute_process(
        COMMAND "${executable}" -I "${PROJECT_SOURCE_DIR}/cmake/interrogate_python.py"
        OUTPUT_VARIABLE answer
        ERROR_VARIABLE complaint
        RESULT_VARIABLE status)
    if(NOT EXISTS "${executable}")
        set(answer "{\"problem\": \"there is no such file\"}")
    elseif(NOT status STREQUAL "0")
        string(REGEX REPLACE "[\"\\\n]+" " " complaint "${complaint}")
        set(answer "{\"problem\": \"it does not run: ${complaint}\"}")
    endif()
    set(${out} "${answer}" PARENT_SCOPE)
endfunction()

# Executables of that name, those of the system before what PATH puts in front (shims pick a Python by directory).
function(ep_find_executables name out)
    string(REPLACE ":" ";" path "$ENV{PATH}")
    if(APPLE)
        set(system "") # macOS has a python3 of its own there, without headers
    else()
        set(system /usr/bin)
    endif()
    set(found "")
    foreach(directory IN LISTS system path)
        if(EXISTS "${directory}/${name}")
            list(APPEND found "${directory}/${name}")
        endif()
    endforeach()
    list(REMOVE_DUPLICATES found)
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

# Turns one element of ERLANG_PYTHON_PYTHONS into the answer of a Python that can be built for.
function(ep_choose_python wanted out)
    if(wanted MATCHES "^3(\\.[0-9]+t?)?$")
        ep_find_executables("python${wanted}" candidates)
    else()
        set(candidates "${wanted}")
    endif()
    set(reasons "")
    foreach(candidate IN LISTS candidates)
        ep_ask_python("${candidate}" answer)
        string(JSON problem ERROR_VARIABLE none GET "${answer}" problem)
        if(none)
            set(${out} "${answer}" PARENT_SCOPE)
            return()
        endif()
        string(APPEND reasons "\n  ${candidate}: ${problem}")
    endforeach()
    if(NOT reasons)
        set(reasons "\n  no python${wanted} on PATH")
    endif()
    message(FATAL_ERROR "No backend can be built for Python '${wanted}':${reasons}\n"
                        "On Debian tools/setup installs what is missing. ERLANG_PYTHON_PYTHONS takes versions, such as "
                        "3.11 or 3.14t, and paths of executables.")
endfunction()

function(ep_add_python answer)
    string(JSON tag GET "${answer}" abi_tag)
    foreach(key version series free_threading include libpython executable)
        string(JSON value GET "${answer}" ${key})
        set(EP_PYTHON_${tag}_${key} "${value}" PARENT_SCOPE)
    endforeach()
    if(tag IN_LIST EP_PYTHONS)
        message(FATAL_ERROR "ERLANG_PYTHON_PYTHONS names two Pythons with the ABI tag ${tag}; one backend serves both, "
                            "so leave one out.")
    endif()
    set(EP_PYTHONS ${EP_PYTHONS} ${tag} PARENT_SCOPE)

    string(JSON include GET "${answer}" include)
    string(JSON version GET "${answer}" version)
    string(JSON libpython GET "${answer}" libpython)
    message(STATUS "Python ${version} (${tag}): ${libpython}")
    add_library(ep_python_${tag} INTERFACE)
    target_include_directories(ep_python_${tag} SYSTEM INTERFACE "${include}")
endfunction()

set(EP_PYTHONS "")
set(wanted_pythons ${ERLANG_PYTHON_PYTHONS})
if(NOT wanted_pythons)
    set(wanted_pythons 3)
endif()
foreach(wanted IN LISTS wanted_pythons)
    ep_choose_python("${wanted}" answer)
    ep_add_python("${answer}")
endforeach()
