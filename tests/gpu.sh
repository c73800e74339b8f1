#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the whole device suite on a machine with an NVIDIA GPU: every operation against references in double,
# models, gradients and training against the Eigen backend, determinism, memory, errors; the small suite again under
# compute-sanitizer. Needs CUDA 13, CMake 3.25 and a C++ compiler, and the headers of Eigen and Catch2 2: installed, or
# in .deps/include/eigen3 and .deps/include/catch2 (docs/gpu.md). What needs files and text is tested where
# nlohmann-json and PCRE2 are there. GPU_CHECK=0 leaves compute-sanitizer out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/local/cuda/bin
step() { echo "== $* (${SECONDS} s)"; }

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
text=OFF
if echo '#include <nlohmann/json.hpp>
#include <pcre2.h>' | c++ -x c++ -DPCRE2_CODE_UNIT_WIDTH=8 -fsyntax-only - 2>/dev/null; then text=ON; fi
generator=Ninja
command -v ninja >/dev/null || generator="Unix Makefiles"

step "build (files and text: $text)"
cmake -S . -B build/gpu -G "$generator" -DCMAKE_BUILD_TYPE=Test -DCMAKE_CXX_FLAGS=-march=native \
  -DCMAKE_CXX_FLAGS_TEST=-O2 -DCMAKE_CUDA_FLAGS_TEST=-O2 -DCMAKE_CUDA_ARCHITECTURES=native \
  -DIAPT_CUDA=ON -DIAPT_TEXT=$text -DIAPT_BUILD_EXAMPLES=OFF -DIAPT_BUILD_BENCH=OFF -DIAPT_CHECK_DOCS=OFF
cmake --build build/gpu --target cuda_tests --parallel "$(nproc)"

step "test"
status=0
# One after another: each wants the whole device. A fault that a test provokes ends with its process.
ctest --test-dir build/gpu --output-on-failure -L '^cuda$' --no-tests=error || status=$?

if [ "${GPU_CHECK:-1}" = 1 ] && command -v compute-sanitizer >/dev/null; then
  step "compute-sanitizer"
  run=build/gpu/tests
  compute-sanitizer --tool memcheck --leak-check full --error-exitcode 9 "$run/test_expr.cuda" || status=$?
  compute-sanitizer --tool memcheck --error-exitcode 9 "$run/test_ops.cuda" "attention sees*,rms_norm,cross_entropy*,the backbone*" ||
    status=$?
  compute-sanitizer --tool racecheck --error-exitcode 9 "$run/test_ops.cuda" "causal attention*,rms_norm" || status=$?
fi
step "done"
exit "$status"
