# cmake -D FROM=dir -D TO=dir -D LIST=file -P MirrorFiles.cmake: copies the files named in LIST, one a line and relative,
# and removes from TO what an earlier run copied and LIST does not name any more.


cmake_minimum_required(VERSION 3.25)
file(STRINGS "${LIST}" wanted)
set(memory "${LIST}.copied")
if(EXISTS "${memory}")
    file(STRINGS "${memory}" copied)
    foreach(file IN LISTS copied)
        if(NOT file IN_LIST wanted)
            file(REMOVE "${TO}/${file}")
        endif()
    endforeach()
endif()
foreach(file IN LISTS wanted)
    get_filename_component(directory "${TO}/${file}" DIRECTORY)
    file(MAKE_DIRECTORY "${directory}")
    file(COPY_FILE "${FROM}/${file}" "${TO}/${file}" ONLY_IF_DIFFERENT)
endforeach()
list(JOIN wanted "\n" lines)
file(WRITE "${memory}" "${lines}\n")
