# SPDX-License-Identifier: Apache-2.0
# Compile through ccache where it is installed.
find_program(IAPT_CCACHE ccache)
mark_as_advanced(IAPT_CCACHE)
if(IAPT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache does not see what -march=native means on this machine, so a cache that moved would hand out the wrong
  # instructions: hash the processor's macros too. The sloppiness is what ccache asks for with precompiled headers.
  set(processor "${PROJECT_BINARY_DIR}/processor_macros.txt")
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  execute_process(COMMAND "${CMAKE_CXX_COMPILER}" ${flags} -dM -E -x c++ /dev/null OUTPUT_FILE "${processor}" ERROR_QUIET)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      "CCACHE_EXTRAFILES=${processor}" "${IAPT_CCACHE}")
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()
