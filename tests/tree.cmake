# SPDX-License-Identifier: Apache-2.0
# Tests of the tree itself: layers, files, documents, headers, what must not compile, and consumers.
add_test(NAME layers COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/check_layers.py" "${PROJECT_SOURCE_DIR}")
add_test(NAME files COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/check_files.py" "${PROJECT_SOURCE_DIR}")
add_test(NAME bleu COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/examples/check_bleu.py"
                           "${PROJECT_SOURCE_DIR}")
add_test(NAME no_program_is_left_out # without a word, where its library is missing
         COMMAND "${CMAKE_COMMAND}" -S "${PROJECT_SOURCE_DIR}" -B "${CMAKE_CURRENT_BINARY_DIR}/left_out" -G
                 "${CMAKE_GENERATOR}" -DIAPT_BOOST_INCLUDE_DIR= -DIAPT_BUILD_TESTS=OFF -DIAPT_BUILD_BENCH=OFF)
set_tests_properties(no_program_is_left_out PROPERTIES PASS_REGULAR_EXPRESSION "libboost-dev")
include(headers.cmake)

file(GLOB sources CONFIGURE_DEPENDS compile_fail/*.cpp)
set(folder "${CMAKE_CURRENT_BINARY_DIR}/compile_fail")
set(flags -std=c++20 "-I${PROJECT_SOURCE_DIR}/include"
          "-isystem$<JOIN:$<TARGET_PROPERTY:Eigen3::Eigen,INTERFACE_INCLUDE_DIRECTORIES>,;-isystem>")
file(CONFIGURE OUTPUT "${folder}/core.hpp" CONTENT "#include <iapt/backend/eigen/backend.hpp>\n#include <iapt/model/causal_lm.hpp>\n#include <iapt/ops/arithmetic.hpp>\n")
add_test(NAME compile_fail.precompiled # what the others include, read once
         COMMAND "${CMAKE_CXX_COMPILER}" "${flags}" -x c++-header "${folder}/core.hpp" -o "${folder}/core.hpp.gch"
         COMMAND_EXPAND_LISTS)
set_tests_properties(compile_fail.precompiled PROPERTIES FIXTURES_SETUP compile_fail)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  add_test(NAME compile_fail.${name}
           COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/check_compile_fail.py" "${source}"
                   "${CMAKE_CXX_COMPILER}" "${flags}" -include "${folder}/core.hpp"
           COMMAND_EXPAND_LISTS)
  set_tests_properties(compile_fail.${name} PROPERTIES FIXTURES_REQUIRED compile_fail)
endforeach()

foreach(compiler g++ clang++)
  if(NOT IAPT_TEXT)
    break() # consumers ask for all of it
  endif()
  find_program(IAPT_${compiler} ${compiler})
  mark_as_advanced(IAPT_${compiler})
  if(IAPT_${compiler})
    add_test(NAME consumer.${compiler}
             COMMAND "${CMAKE_COMMAND}" "-Dbinary_dir=${PROJECT_BINARY_DIR}" "-Dcompiler=${IAPT_${compiler}}"
                     "-Dlauncher=${CMAKE_CXX_COMPILER_LAUNCHER}" "-Dgenerator=${CMAKE_GENERATOR}"
                     "-Dcccl=${IAPT_CCCL_INCLUDE_DIR}"
                     -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/run.cmake")
    set_tests_properties(consumer.${compiler} PROPERTIES TIMEOUT 600)
  endif()
endforeach()

if(IAPT_CHECK_DOCS)
  find_program(IAPT_DOXYGEN doxygen)
  if(NOT IAPT_DOXYGEN)
    message(FATAL_ERROR "iapt: IAPT_CHECK_DOCS needs doxygen")
  endif()
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/Doxyfile"
       CONTENT "@INCLUDE = docs/Doxyfile\nOUTPUT_DIRECTORY = \"${PROJECT_BINARY_DIR}/reference\"\n")
  add_test(NAME reference_docs COMMAND "${IAPT_DOXYGEN}" -q "${PROJECT_BINARY_DIR}/Doxyfile"
           WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
endif()
