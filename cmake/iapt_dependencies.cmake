# SPDX-License-Identifier: Apache-2.0
# What iapt needs, in one place: for its own build and for a consumer's find_package(iapt).
# Each iapt_find_* appends to the list named by its argument one line for everything that is missing.
include_guard(DIRECTORY)

option(IAPT_ONEDNN "Take matrix products from oneDNN where it is found" ON)

# iapt_find_library(RESULT NAME HEADER LIBRARY PACKAGE WHAT): target iapt::NAME for a library that has no package of
# CMake's to be relied on. LIBRARY is "" where headers are all. PACKAGE is Debian's; WHAT is said where it is missing.
function(iapt_find_library result name header library package what)
  if(TARGET iapt::${name})
    return()
  endif()
  string(TOUPPER "IAPT_${name}" here)
  find_path(${here}_INCLUDE_DIR ${header})
  set(parts ${here}_INCLUDE_DIR)
  if(library)
    find_library(${here}_LIBRARY ${library})
    list(APPEND parts ${here}_LIBRARY)
  endif()
  mark_as_advanced(${parts})
  foreach(part IN LISTS parts)
    if(NOT ${part})
      list(JOIN parts " and " parts)
      list(APPEND ${result} "${what} (Debian: ${package}; elsewhere set ${parts})")
      set(${result} "${${result}}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  add_library(iapt::${name} INTERFACE IMPORTED)
  target_include_directories(iapt::${name} SYSTEM INTERFACE "${${here}_INCLUDE_DIR}")
  if(library)
    target_link_libraries(iapt::${name} INTERFACE "${${here}_LIBRARY}")
  endif()
endfunction()

# Eigen always; OpenMP and oneDNN where they are found.
function(iapt_find_core result)
  set(missing "${${result}}")
  find_package(Eigen3 QUIET NO_MODULE)
  if(NOT TARGET Eigen3::Eigen) # its headers alone will do
    find_path(IAPT_EIGEN_INCLUDE_DIR Eigen/Core PATHS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/include/eigen3"
              NO_DEFAULT_PATH)
    mark_as_advanced(IAPT_EIGEN_INCLUDE_DIR)
    if(IAPT_EIGEN_INCLUDE_DIR)
      add_library(Eigen3::Eigen INTERFACE IMPORTED)
      target_include_directories(Eigen3::Eigen SYSTEM INTERFACE "${IAPT_EIGEN_INCLUDE_DIR}")
    endif()
  endif()
  if(NOT TARGET Eigen3::Eigen OR (Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4))
    list(APPEND missing "Eigen 3.4 or later (Debian: libeigen3-dev; elsewhere set Eigen3_DIR)")
  endif()
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(IAPT_ONEDNN AND NOT TARGET iapt::onednn)
    # Not oneDNN's own package: Debian's asks for OpenCL headers, which the processor's part does not need.
    iapt_find_library(no_onednn onednn oneapi/dnnl/dnnl.h dnnl libdnnl-dev oneDNN)
    if(TARGET iapt::onednn)
      target_compile_definitions(iapt::onednn INTERFACE IAPT_ONEDNN=1)
    endif()
  endif()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# Thrust, for the backends on it: target iapt::thrust where its headers are found. Debian's libthrust-dev is too old.
function(iapt_find_thrust result)
  if(TARGET iapt::thrust)
    return()
  endif()
  find_path(IAPT_CCCL_INCLUDE_DIR thrust/version.h
            PATHS "$ENV{CUDA_PATH}/include/cccl" "$ENV{CUDA_HOME}/include/cccl" /usr/local/cuda/include/cccl
                  "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/cccl"
            NO_DEFAULT_PATH)
  mark_as_advanced(IAPT_CCCL_INCLUDE_DIR)
  if(IAPT_CCCL_INCLUDE_DIR)
    add_library(iapt::thrust INTERFACE IMPORTED GLOBAL)
    # For host compilers: nvcc has its own.
    target_include_directories(iapt::thrust SYSTEM INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${IAPT_CCCL_INCLUDE_DIR}>")
    # What Thrust takes a host compiler's "device" for; its own default would look for CUDA's headers.
    target_compile_definitions(iapt::thrust
                               INTERFACE $<$<COMPILE_LANGUAGE:CXX>:THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP>)
  else()
    list(APPEND ${result} "Thrust of CUDA 13 or later (a toolkit, PyPI's nvidia-cuda-cccl, or set IAPT_CCCL_INCLUDE_DIR)")
    set(${result} "${${result}}" PARENT_SCOPE)
  endif()
endfunction()

# JSON, regular expressions and Unicode.
function(iapt_find_text result)
  set(missing "${${result}}")
  find_package(nlohmann_json QUIET)
  if(NOT TARGET nlohmann_json::nlohmann_json)
    list(APPEND missing "nlohmann-json (Debian: nlohmann-json3-dev; elsewhere set nlohmann_json_DIR)")
  endif()
  iapt_find_library(missing pcre2 pcre2.h pcre2-8 libpcre2-dev "PCRE2, 8 bit")
  iapt_find_library(missing utf8proc utf8proc.h utf8proc libutf8proc-dev utf8proc)
  find_package(Threads QUIET)
  if(NOT TARGET Threads::Threads)
    list(APPEND missing "a threads library")
  endif()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# Links are not exported: a consumer's machine decides anew, by this same file.
function(iapt_link_core target)
  foreach(library Eigen3::Eigen OpenMP::OpenMP_CXX iapt::onednn)
    if(TARGET ${library})
      target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:${library}>)
    endif()
  endforeach()
endfunction()

function(iapt_link_text target)
  foreach(library nlohmann_json::nlohmann_json iapt::pcre2 iapt::utf8proc Threads::Threads)
    target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:${library}>)
  endforeach()
endfunction()
