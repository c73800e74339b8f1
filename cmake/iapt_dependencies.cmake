# SPDX-License-Identifier: Apache-2.0
# What iapt needs, in one place: for its own build and for a consumer's find_package(iapt).
# Each iapt_find_* appends to the list named by its argument one line for everything that is missing.
include_guard(DIRECTORY)

option(IAPT_ONEDNN "Take matrix products from oneDNN where it is found" ON)

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
    find_path(IAPT_ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl.h)
    find_library(IAPT_ONEDNN_LIBRARY dnnl)
    mark_as_advanced(IAPT_ONEDNN_INCLUDE_DIR IAPT_ONEDNN_LIBRARY)
    if(IAPT_ONEDNN_INCLUDE_DIR AND IAPT_ONEDNN_LIBRARY)
      add_library(iapt::onednn UNKNOWN IMPORTED)
      set_target_properties(
        iapt::onednn PROPERTIES IMPORTED_LOCATION "${IAPT_ONEDNN_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES
                                "${IAPT_ONEDNN_INCLUDE_DIR}" INTERFACE_COMPILE_DEFINITIONS IAPT_ONEDNN=1)
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
  if(NOT TARGET iapt::pcre2)
    find_path(IAPT_PCRE2_INCLUDE_DIR pcre2.h)
    find_library(IAPT_PCRE2_LIBRARY pcre2-8)
    mark_as_advanced(IAPT_PCRE2_INCLUDE_DIR IAPT_PCRE2_LIBRARY)
    if(IAPT_PCRE2_INCLUDE_DIR AND IAPT_PCRE2_LIBRARY)
      add_library(iapt::pcre2 UNKNOWN IMPORTED)
      set_target_properties(iapt::pcre2 PROPERTIES IMPORTED_LOCATION "${IAPT_PCRE2_LIBRARY}"
                                                   INTERFACE_INCLUDE_DIRECTORIES "${IAPT_PCRE2_INCLUDE_DIR}")
    else()
      list(APPEND missing "PCRE2, 8 bit (Debian: libpcre2-dev; elsewhere set IAPT_PCRE2_INCLUDE_DIR and _LIBRARY)")
    endif()
  endif()
  if(NOT TARGET iapt::utf8proc)
    find_path(IAPT_UTF8PROC_INCLUDE_DIR utf8proc.h)
    find_library(IAPT_UTF8PROC_LIBRARY utf8proc)
    mark_as_advanced(IAPT_UTF8PROC_INCLUDE_DIR IAPT_UTF8PROC_LIBRARY)
    if(IAPT_UTF8PROC_INCLUDE_DIR AND IAPT_UTF8PROC_LIBRARY)
      add_library(iapt::utf8proc UNKNOWN IMPORTED)
      set_target_properties(iapt::utf8proc PROPERTIES IMPORTED_LOCATION "${IAPT_UTF8PROC_LIBRARY}"
                                                      INTERFACE_INCLUDE_DIRECTORIES "${IAPT_UTF8PROC_INCLUDE_DIR}")
    else()
      list(APPEND missing "utf8proc (Debian: libutf8proc-dev; elsewhere set IAPT_UTF8PROC_INCLUDE_DIR and _LIBRARY)")
    endif()
  endif()
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
