# SPDX-License-Identifier: Apache-2.0
# The warnings that our own programs and tests are compiled with; never a consumer's.
add_library(iapt_warnings INTERFACE)
target_compile_options(iapt_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wpedantic>
                                               $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 takes the undefined registers of its own AVX-512 intrinsics, inlined from Eigen, for an oversight
  # (GCC bug 105593), thousands of times.
  target_compile_options(iapt_warnings
                         INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-uninitialized$<SEMICOLON>-Wno-maybe-uninitialized>)
endif()
