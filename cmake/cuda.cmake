# SPDX-License-Identifier: Apache-2.0
# The CUDA language and target iapt::cuda, for our own build and for a consumer's find_package(iapt COMPONENTS cuda).
include(CheckLanguage)

option(IAPT_CUDNN "Take attention from cuDNN where it and its C++ frontend are found" ON)

# cuDNN's attention, a part of iapt::cuda: compiled once, for NVIDIA's headers are much to read.
function(iapt_find_cudnn)
  if(NOT IAPT_CUDNN)
    return()
  endif()
  find_path(IAPT_CUDNN_INCLUDE_DIR cudnn_graph.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(IAPT_CUDNN_LIBRARY cudnn HINTS "${CUDAToolkit_LIBRARY_DIR}")
  find_path(IAPT_CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend/backend/device_properties.h # since 1.12
            HINTS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.deps/cudnn_frontend/include")
  mark_as_advanced(IAPT_CUDNN_INCLUDE_DIR IAPT_CUDNN_LIBRARY IAPT_CUDNN_FRONTEND_INCLUDE_DIR)
  if(NOT IAPT_CUDNN_INCLUDE_DIR OR NOT IAPT_CUDNN_LIBRARY OR NOT IAPT_CUDNN_FRONTEND_INCLUDE_DIR OR NOT TARGET CUDA::nvrtc)
    message(STATUS "iapt: no cuDNN 9 or no cuDNN frontend (IAPT_CUDNN_FRONTEND_INCLUDE_DIR; PyPI's "
                   "nvidia-cudnn-frontend has it): attention on a GPU is our own kernel alone")
    return()
  endif()
  set(unit "${CMAKE_CURRENT_BINARY_DIR}/iapt_cudnn.cpp")
  file(CONFIGURE OUTPUT "${unit}" CONTENT "#include <iapt/backend/cuda/cudnn_attention_source.cuh>\n")
  add_library(iapt_cudnn STATIC EXCLUDE_FROM_ALL "${unit}")
  set_target_properties(iapt_cudnn PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(iapt_cudnn PRIVATE $<TARGET_NAME_IF_EXISTS:iapt::core>
                                   PUBLIC "${IAPT_CUDNN_LIBRARY}" CUDA::cudart CUDA::nvrtc)
  target_include_directories(iapt_cudnn SYSTEM PRIVATE "${IAPT_CUDNN_FRONTEND_INCLUDE_DIR}" "${IAPT_CUDNN_INCLUDE_DIR}")
  target_compile_options(iapt_cudnn PRIVATE -O0) # it only calls, and takes a compiler half a minute as it is
  target_link_libraries(iapt_cuda INTERFACE iapt_cudnn)
  target_compile_definitions(iapt_cuda INTERFACE IAPT_CUDNN=1)
endfunction()

# Appends to the list named by its argument what is missing. A macro: only a folder itself can enable a language.
macro(iapt_find_cuda result)
  # What the code is made for: A100, H100 and H200, and PTX that the driver compiles for what comes later.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit 13.0 QUIET)
  endif()
  if(NOT CMAKE_CUDA_COMPILER OR NOT CUDAToolkit_FOUND)
    list(APPEND ${result} "CUDA 13 or later (nvcc on PATH, or set CUDACXX)")
  elseif(NOT TARGET iapt::cuda)
    add_library(iapt_cuda INTERFACE)
    add_library(iapt::cuda ALIAS iapt_cuda)
    # The standard as a flag, because CMake 3.25 does not know what CUDA 13 can do.
    target_compile_options(iapt_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>")
    target_link_libraries(iapt_cuda INTERFACE CUDA::cudart CUDA::cublasLt)
    # The drawing of tokens and the like is shared among the host's threads, as it is where a host compiler sees it.
    if(TARGET OpenMP::OpenMP_CXX)
      target_compile_options(iapt_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fopenmp>")
    endif()
    iapt_find_cudnn()
  endif()
endmacro()
