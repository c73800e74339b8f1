#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the whole device suite on a machine with an NVIDIA GPU: every operation against references in double,
# models, gradients and training against the Eigen backend, determinism, memory, errors; the small suite again under
# compute-sanitizer. Needs CUDA 13, CMake 3.25, Python 3 and a C++ compiler, and the headers of Eigen and Catch2 2:
# installed, or in .deps/include/eigen3 and .deps/include/catch2 (docs/gpu.md). What needs files and text is tested where
# nlohmann-json, PCRE2 and utf8proc are there, cuDNN's attention where cuDNN and .deps/cudnn_frontend are.
# tests/gpu.sh [STAGE...]: some of build, test and check; all without an argument.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/local/cuda/bin
step() { echo "== $* (${SECONDS} s)"; }
stages=" ${*:-build test check} "
for stage in $stages; do
  case $stage in build | test | check) ;; *) echo "tests/gpu.sh: no stage $stage; there are build, test and check" >&2; exit 1 ;; esac
done
wanted() { [[ $stages == *" $1 "* ]]; }

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
status=0
if wanted build; then
  text=OFF
  if echo '#include <nlohmann/json.hpp>
#include <pcre2.h>
#include <utf8proc.h>' | c++ -x c++ -DPCRE2_CODE_UNIT_WIDTH=8 -fsyntax-only - 2>/dev/null; then text=ON; fi
  generator=Ninja
  command -v ninja >/dev/null || generator="Unix Makefiles"
  step "build (files and text: $text)"
  configure() {
    cmake -S . -B build/gpu -G "$generator" -DCMAKE_BUILD_TYPE=Test -DCMAKE_CXX_FLAGS=-march=native \
      -DCMAKE_CXX_FLAGS_TEST=-O2 -DCMAKE_CUDA_FLAGS_TEST=-O1 -DCMAKE_CUDA_ARCHITECTURES=native \
      -DIAPT_CUDA=ON "-DIAPT_BATCH=$((64 / $(nproc) + 1))" -DIAPT_BUILD_EXAMPLES=OFF -DIAPT_BUILD_BENCH=OFF \
      -DIAPT_CHECK_DOCS=OFF "$@"
  }
  configure -DIAPT_TEXT=$text || { [ $text = ON ] && configure -DIAPT_TEXT=OFF; } # headers alone are no packages
  cmake --build build/gpu --target cuda_tests --parallel "$(nproc)"
fi

if wanted test; then
  step "test" # one after another: each wants the whole device
  ctest --test-dir build/gpu --output-on-failure -L '^cuda$' --no-tests=error || status=$?
fi

if wanted check; then
  if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: no compute-sanitizer"
  elif { compute-sanitizer build/gpu/tests/test_all.cuda "argmax*" 2>&1 || true; } | grep "Device not supported"; then
    echo "skipped: compute-sanitizer does not know this device, or may not see it in this virtual machine"
  else
    sanitize() {
      step "compute-sanitizer, $1"
      compute-sanitizer --tool "$1" --error-exitcode 9 build/gpu/tests/test_all.cuda "$2" || status=$?
    }
    attention="causal attention*,attention with*,attention over*,sequences may*,gradients of attention"
    sanitize memcheck "[expr]"
    sanitize memcheck "$attention,rms_norm,cross_entropy*,attention_pool,argmax*,the backbone*,each row goes*"
    sanitize memcheck "a fused kernel*"
    sanitize racecheck "causal attention*,attention with*,attention over*,rms_norm,attention_pool"
    sanitize synccheck "$attention,attention_pool"
  fi
fi
step "done"
exit "$status"
