# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone, and twice in one program: once in a translation unit of its own and once in
# one that includes them all. A function that is not inline would be defined twice, and the program would not link.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include"
     "${PROJECT_SOURCE_DIR}/include/iapt/*.hpp")
if(NOT TARGET iapt::thrust)
  list(FILTER headers EXCLUDE REGEX "backend/thrust/")
endif()
if(NOT IAPT_TEXT)
  list(FILTER headers EXCLUDE REGEX "^iapt/(chat|data|io|jinja|serve|text|train)/|^iapt/[a-z_]*.hpp")
endif()

# Together, headers share units where that lends them nothing.
set(units ${headers})
if(IAPT_BATCH)
  execute_process(COMMAND "${Python3_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/header_chains.py"
                          "${PROJECT_SOURCE_DIR}/include" ${headers}
                  OUTPUT_VARIABLE units COMMAND_ERROR_IS_FATAL ANY OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(REPLACE "\n" ";" units "${units}")
  list(TRANSFORM headers PREPEND "${PROJECT_SOURCE_DIR}/include/" OUTPUT_VARIABLE paths)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${paths})
endif()

set(folder "${PROJECT_BINARY_DIR}/headers")
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n" OUTPUT_VARIABLE all)
list(JOIN all "" all)
file(CONFIGURE OUTPUT "${folder}/all.cpp" CONTENT "${all}int main() {}\n" @ONLY)
set(sources "${folder}/all.cpp")
foreach(unit IN LISTS units)
  string(REGEX REPLACE ".*," "" name "${unit}")
  string(MAKE_C_IDENTIFIER "${name}" name)
  string(REGEX REPLACE "([^,]+),?" "#include <\\1>\n#include <\\1>\n" unit "${unit}")
  file(CONFIGURE OUTPUT "${folder}/${name}.cpp" CONTENT "${unit}")
  list(APPEND sources "${folder}/${name}.cpp")
endforeach()

add_executable(test_headers ${sources})
target_link_libraries(test_headers PRIVATE iapt::iapt iapt_warnings)
if(TARGET iapt::thrust)
  target_link_libraries(test_headers PRIVATE iapt::thrust)
endif()
target_compile_options(test_headers PRIVATE -O0)
add_test(NAME headers COMMAND test_headers)
