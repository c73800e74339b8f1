// SPDX-License-Identifier: Apache-2.0
// Converts the error codes of CUDA and cuBLASLt to device_error.
#pragma once
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cxxabi.h>

#include <cstdlib>
#include <string>

#include "iapt/core/error.hpp"

namespace iapt {

/// @throws device_error naming the operation if a call of the runtime failed
inline void cuda_check(cudaError_t status, const std::string& operation) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears the error, which the next call would also report
  throw device_error("cuda: " + operation + ": " + cudaGetErrorString(status));
}
/// @throws device_error naming the operation if a call of cuBLASLt failed
inline void cuda_check(cublasStatus_t status, const std::string& operation) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw device_error("cuda: " + operation + ": " + cublasLtGetStatusString(status));
}

/// A type's name in readable form.
inline std::string readable_name(const char* mangled) {
  int status = 0;
  char* const text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  const std::string name = text ? text : mangled;
  std::free(text);
  return name;
}

}  // namespace iapt
