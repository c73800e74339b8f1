# SPDX-License-Identifier: Apache-2.0
# The CUDA language and target iapt::cuda, for our own build and for a consumer's find_package(iapt COMPONENTS cuda).
include(CheckLanguage)

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
    # The standard as a flag, because CMake 3.25 does not know what CUDA 13 can do; and device code calls our constexpr
    # functions, which then need no mark.
    target_compile_options(iapt_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr>")
    target_link_libraries(iapt_cuda INTERFACE CUDA::cudart CUDA::cublasLt)
  endif()
endmacro()
