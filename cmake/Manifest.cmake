# Manifests: what the core reads before it opens anything. See docs/architecture.md.

set(abi_header "${PROJECT_SOURCE_DIR}/core/include/erlang_python/abi.h")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${abi_header}")
foreach(part MAJOR MINOR)
    file(STRINGS "${abi_header}" line REGEX "#define EP_ABI_${part} ")
    string(REGEX MATCH "[0-9]+$" EP_ABI_${part} "${line}")
endforeach()
set(EP_ABI_VERSION "${EP_ABI_MAJOR}.${EP_ABI_MINOR}")

# The micro version is the real one, for people to read; the core compares series (3.11) and flavour (t) only, so that a
# security release of Python needs no new build.
function(ep_write_backend_manifest mode tag)
    set(name "${mode}-${tag}")
    if(EP_PYTHON_${tag}_free_threading)
        set(free_threading true)
    else()
        set(free_threading false)
    endif()
    foreach(key version libpython executable)
        set(${key} "${EP_PYTHON_${tag}_${key}}")
    endforeach()
    file(CONFIGURE OUTPUT "${EP_PRIV_DIR}/backends/${name}.json" @ONLY CONTENT [[{
  "kind": "backend",
  "name": "@name@",
  "mode": "@mode@",
  "abi": "@EP_ABI_VERSION@",
  "file": "@name@.so",
  "python": "@version@",
  "abi_tag": "@tag@",
  "free_threading": @free_threading@,
  "libpython": "@libpython@",
  "executable": "@executable@"
}
]])
endfunction()

function(ep_write_plugin_manifest name)
    file(CONFIGURE OUTPUT "${EP_PRIV_DIR}/plugins/${name}.json" @ONLY CONTENT [[{
  "kind": "plugin",
  "name": "@name@",
  "abi": "@EP_ABI_VERSION@",
  "file": "@name@.so"
}
]])
endfunction()

# Removes what an earlier configuration left in a directory of manifests: it would be found, and offered.
function(ep_remove_stale directory)
    file(GLOB manifests RELATIVE "${directory}" "${directory}/*.json")
    list(TRANSFORM manifests REPLACE "\\.json$" "")
    foreach(name IN LISTS manifests)
        if(NOT name IN_LIST ARGN)
            file(REMOVE "${directory}/${name}.json" "${directory}/${name}.so")
        endif()
    endforeach()
endfunction()
