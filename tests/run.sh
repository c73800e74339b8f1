#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, fetches the model, builds and runs every test. tests/run.sh [arguments for ctest]
# JOBS sets how much runs at once. CI=true makes warnings errors, and a test fail that is skipped for want of the model.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/need.sh
jobs=${JOBS:-$(nproc)}

step() { echo "== $* (${SECONDS} s)"; }

step "what is needed"
need "${build_needs[@]}" catch2 clang++:clang doxygen:doxygen curl:curl
model=$(bash scripts/fetch_model.sh)
bash scripts/fetch_cccl.sh >/dev/null

step "build"
cmake --preset test "-DIAPT_TEST_MODEL=$model" "-DIAPT_BATCH=$((96 / jobs + 1))" ${CI:+-DCMAKE_COMPILE_WARNING_AS_ERROR=ON}
cmake --build --preset test --parallel "$jobs"

step "test"
status=0
# Tests wait for clients and for disks: one more at a time than there are processors, with files in memory if it has room.
room=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1 || true)
[ "${room:-0}" -lt 4000000 ] || export TMPDIR=${TMPDIR:-/dev/shm}
ctest --preset test --parallel "$((jobs + 1))" --no-tests=error "$@" || status=$?
log=build/test/Testing/Temporary/LastTest.log
if [ -f "$log" ] && grep -q 'skipped: ' "$log"; then
  echo "Not tested here:"
  grep -oE 'skipped: .*' "$log" | sort | uniq -c
fi
step "done"
exit "$status"
