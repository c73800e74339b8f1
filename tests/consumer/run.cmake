# SPDX-License-Identifier: Apache-2.0
# Installs to a prefix of its own and builds a consumer from there, as somebody else's project would.
# cmake -Dbinary_dir= -Dcompiler= -Dlauncher= -Dgenerator= -Dcccl= -P run.cmake
cmake_path(GET compiler FILENAME name)
set(work "${binary_dir}/consumer/${name}")
set(prefix "${work}/prefix")
file(REMOVE_RECURSE "${work}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed: ${command}")
  endif()
endfunction()

# Configures the consumer where one dependency cannot be found: it must be refused by name.
function(expect_refusal message)
  execute_process(COMMAND ${configure} -B "${work}/refused" ${ARGN} RESULT_VARIABLE status OUTPUT_QUIET
                  ERROR_VARIABLE text)
  file(REMOVE_RECURSE "${work}/refused")
  string(REGEX REPLACE "[ \n]+" " " text "${text}")
  if(status EQUAL 0 OR NOT text MATCHES "${message}")
    message(FATAL_ERROR "expected a refusal that says '${message}', got status ${status}: ${text}")
  endif()
endfunction()

run("${CMAKE_COMMAND}" --install "${binary_dir}" --prefix "${prefix}")
set(configure "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -G "${generator}" "-DCMAKE_PREFIX_PATH=${prefix}"
              "-DCMAKE_CXX_COMPILER=${compiler}" "-DIAPT_CCCL_INCLUDE_DIR=${cccl}")

string(REPLACE ";" "\\;" launcher "${launcher}")
run(${configure} -B "${work}/build" "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}")
run("${CMAKE_COMMAND}" --build "${work}/build")
run("${work}/build/core_only")
run("${work}/build/whole")
if(EXISTS "${work}/build/on_thrust")
  run("${work}/build/on_thrust")
endif()

expect_refusal("Eigen 3.4 or later" -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
expect_refusal("nlohmann-json.*COMPONENTS core" -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)
# and core alone does without what only files and text need
run(${configure} -B "${work}/core" -DCORE_ALONE=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
    -DIAPT_PCRE2_LIBRARY=IAPT_PCRE2_LIBRARY-NOTFOUND -DIAPT_UTF8PROC_LIBRARY=IAPT_UTF8PROC_LIBRARY-NOTFOUND)
