# SPDX-License-Identifier: Apache-2.0
# Tests of the GPU that need more than their own program: on the simulated GPU, and without any.
if(IAPT_CUDA)
  add_custom_target(cuda_tests DEPENDS ${on_cuda})
  add_custom_target(cuda_simulated_tests DEPENDS ${on_cuda_simulated})
  if(TARGET test_support_simulated_gpu) # what a 7B model takes, counted
    set(unit "${CMAKE_CURRENT_BINARY_DIR}/units/gpu_bench_simulated.cpp")
    file(CONFIGURE OUTPUT "${unit}"
         CONTENT "#include \"support/simulated_gpu/backend.hpp\"\n#include \"bench/gpu.cu\"\n")
    add_executable(gpu_bench_simulated "${unit}" $<TARGET_OBJECTS:test_support_simulated_gpu>)
    target_link_libraries(gpu_bench_simulated PRIVATE test_support_simulated_gpu)
    target_include_directories(gpu_bench_simulated PRIVATE "${PROJECT_SOURCE_DIR}")
    add_dependencies(cuda_simulated_tests gpu_bench_simulated)
    add_test(NAME gpu_bench.cuda_simulated COMMAND gpu_bench_simulated llama-7b train)
    set_tests_properties(gpu_bench.cuda_simulated PROPERTIES ENVIRONMENT IAPT_SIMULATED_GPU=count)
  endif()
  # The programs on that GPU and on the processor.
  if(TARGET test_support_simulated_gpu AND TARGET train)
    set(programs train evaluate generate)
    iapt_add_device(simulated_gpu_programs "${programs}" examples cuda test_support_simulated_gpu iapt::bfloat16
                    iapt::cuda_backend support/simulated_gpu/backend.hpp cpp)
    foreach(program IN LISTS programs)
      add_executable(${program}_simulated $<TARGET_OBJECTS:${program}>)
      set(on_eigen ${program}_eigen_float)
      if(IAPT_BATCH)
        set(on_eigen examples_eigen_float)
      endif()
      target_link_libraries(${program}_simulated PRIVATE program_base ${on_eigen} simulated_gpu_programs
                                                         test_support_simulated_gpu)
      set_target_properties(${program}_simulated PROPERTIES OUTPUT_NAME ${program}
                            RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/simulated_gpu")
      add_dependencies(cuda_simulated_tests ${program}_simulated)
    endforeach()
    add_test(NAME examples.cuda_simulated COMMAND test_examples [devices])
    set(on_cuda ${environment})
    list(TRANSFORM on_cuda REPLACE "^IAPT_PROGRAMS=.*" "IAPT_PROGRAMS=${CMAKE_CURRENT_BINARY_DIR}/simulated_gpu")
    set_tests_properties(examples.cuda_simulated PROPERTIES ENVIRONMENT "${on_cuda};IAPT_TEST_DEVICE=cuda")
  endif()
  set(no_device test_backend.cuda)
  if(IAPT_BATCH)
    set(no_device test_all.cuda)
  endif()
  add_test(NAME without_a_gpu COMMAND ${no_device} "[no_device]")
  # cuDNN says what it could do on a device that is not here, if it can open the driver's library, be it a stub.
  set(stub "${CMAKE_CURRENT_BINARY_DIR}/stub")
  file(MAKE_DIRECTORY "${stub}")
  file(CREATE_LINK "${CUDAToolkit_LIBRARY_DIR}/stubs/libcuda.so" "${stub}/libcuda.so.1" SYMBOLIC)
  set_tests_properties(without_a_gpu PROPERTIES ENVIRONMENT_MODIFICATION
                                                "LD_LIBRARY_PATH=path_list_append:${stub}")
endif()
