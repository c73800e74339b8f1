# SPDX-License-Identifier: Apache-2.0
# Every examples/*.cpp and bench/*.cpp is a program of its name. Beside a NAME.hpp it runs on several devices: on Eigen
# by itself, on each of the others by a translation unit that is made here of NAME.hpp and the backend's header.
find_path(IAPT_CLI11_INCLUDE_DIR CLI/CLI.hpp)
find_package(benchmark QUIET)

# HTTP, for serve alone. Debian's cpp-httplib is compiled, and pkg-config says with what.
find_package(httplib QUIET)
if(NOT TARGET httplib::httplib)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(IAPT_HTTPLIB QUIET IMPORTED_TARGET cpp-httplib)
  endif()
  if(TARGET PkgConfig::IAPT_HTTPLIB)
    add_library(httplib::httplib ALIAS PkgConfig::IAPT_HTTPLIB)
  endif()
endif()
# The server goes beneath its surface (examples/support/connection.hpp), which newer versions have changed.
if(TARGET httplib::httplib AND IAPT_BUILD_EXAMPLES)
  include(CheckCXXSourceCompiles)
  get_target_property(library httplib::httplib ALIASED_TARGET)
  if(NOT library)
    set(library httplib::httplib)
  endif()
  set(CMAKE_REQUIRED_LIBRARIES ${library})
  set(CMAKE_REQUIRED_INCLUDES "${PROJECT_SOURCE_DIR}")
  set(CMAKE_REQUIRED_FLAGS "-std=c++20")
  check_cxx_source_compiles("
    #include \"examples/support/connection.hpp\"
    int main() { program::http_server server; }" IAPT_HTTPLIB_FITS)
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_FLAGS)
endif()

# Other devices: name, type, header, language.
set(devices "")
if(TARGET iapt::thrust AND TARGET OpenMP::OpenMP_CXX)
  list(APPEND devices "thrust|iapt::thrust_backend<thrust::omp::tag>|iapt/backend/thrust/backend.hpp|cpp")
endif()
if(IAPT_CUDA)
  list(APPEND devices "cuda|iapt::cuda_backend|iapt/backend/cuda/backend.cuh|cu")
endif()

function(iapt_add_device target folder device type header suffix)
  set(unit "${PROJECT_BINARY_DIR}/devices/${target}_${device}.${suffix}")
  file(CONFIGURE OUTPUT "${unit}" CONTENT "\
// ${target} on the device ${device}.
#include <${header}>

#include \"${folder}/${target}.hpp\"
#include \"examples/support/device.hpp\"

static const program::device<program::${target}_program, ${type}> here(\"${device}\");
")
  target_sources(${target} PRIVATE "${unit}")
  if(suffix STREQUAL "cpp" AND CMAKE_BUILD_TYPE STREQUAL "Test") # its tests are few, and short
    set_source_files_properties("${unit}" PROPERTIES COMPILE_OPTIONS -O1)
  endif()
endfunction()

function(iapt_add_programs folder)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.cpp")
  if(sources AND NOT IAPT_CLI11_INCLUDE_DIR)
    message(FATAL_ERROR "iapt: ${folder}/ needs CLI11 (Debian: libcli11-dev; elsewhere set IAPT_CLI11_INCLUDE_DIR)")
  endif()
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    if(name STREQUAL "serve" AND NOT IAPT_HTTPLIB_FITS)
      message(STATUS "iapt: no cpp-httplib that fits (tested: 0.11; Debian: libcpp-httplib-dev and pkg-config): "
                     "serve is left out")
      continue()
    endif()
    add_executable(${name} "${source}")
    target_link_libraries(${name} PRIVATE iapt::iapt iapt_warnings ${ARGN})
    if(name STREQUAL "serve")
      target_link_libraries(${name} PRIVATE httplib::httplib)
    endif()
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
    target_include_directories(${name} SYSTEM PRIVATE "${IAPT_CLI11_INCLUDE_DIR}")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/${folder}")
    if(EXISTS "${PROJECT_SOURCE_DIR}/${folder}/${name}.hpp")
      foreach(device IN LISTS devices)
        if(folder STREQUAL "bench" AND device MATCHES "^thrust") # nobody asks how fast a stand-in is
          continue()
        endif()
        string(REPLACE "|" ";" device "${device}")
        iapt_add_device(${name} ${folder} ${device})
      endforeach()
      foreach(library iapt::thrust iapt::cuda)
        if(TARGET ${library})
          target_link_libraries(${name} PRIVATE ${library})
        endif()
      endforeach()
      set_property(GLOBAL APPEND PROPERTY iapt_programs_on_devices ${name})
    endif()
  endforeach()
endfunction()

if(IAPT_BUILD_EXAMPLES)
  iapt_add_programs(examples)
endif()
if(IAPT_BUILD_BENCH)
  if(benchmark_FOUND)
    iapt_add_programs(bench benchmark::benchmark)
  else()
    message(STATUS "iapt: no Google Benchmark (Debian: libbenchmark-dev): bench/ is left out")
  endif()
endif()
