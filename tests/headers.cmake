# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone, and twice in one program: once in a translation unit of its own and once in
# one that includes them all. A function that is not inline would be defined twice, and the program would not link.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include"
     "${PROJECT_SOURCE_DIR}/include/iapt/*.hpp")
if(NOT TARGET iapt::thrust)
  list(FILTER headers EXCLUDE REGEX "backend/thrust/")
endif()
if(NOT IAPT_TEXT)
  list(FILTER headers EXCLUDE REGEX "^iapt/(data|io|serve|text|train)/|^iapt/[a-z]*.hpp")
endif()

set(folder "${PROJECT_BINARY_DIR}/headers")
set(sources "${folder}/all.cpp")
set(all "")
foreach(header IN LISTS headers)
  string(APPEND all "#include <${header}>\n")
  string(MAKE_C_IDENTIFIER "${header}" name)
  file(CONFIGURE OUTPUT "${folder}/${name}.cpp" CONTENT "#include <${header}>\n#include <${header}>\n")
  list(APPEND sources "${folder}/${name}.cpp")
endforeach()
file(CONFIGURE OUTPUT "${folder}/all.cpp" CONTENT "${all}int main() {}\n" @ONLY)

add_executable(test_headers ${sources})
target_link_libraries(test_headers PRIVATE iapt::iapt iapt_warnings)
if(TARGET iapt::thrust)
  target_link_libraries(test_headers PRIVATE iapt::thrust)
endif()
target_compile_options(test_headers PRIVATE -O0)
add_test(NAME headers COMMAND test_headers)
