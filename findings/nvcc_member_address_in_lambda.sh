#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# With --expt-relaxed-constexpr, nvcc refuses a member function's address in a lambda of host code.
#
# Versions: nvidia-cuda-nvcc 13.0.88, g++ 12.2.
#
# Behaviour: a lambda without captures that returns the address of a member function is plain C++, and here nothing of
# it is for a device. Without flags nvcc compiles it. With --expt-relaxed-constexpr, which many CUDA libraries need, it
# says that the member function "is undefined in device code": such a lambda can be constexpr, so nvcc takes it for one
# that device code may call. The same address in a function, or a lambda that calls the member instead, is compiled.
#
# Seen: "without: compiled; with: identifier "counter::next" is undefined in device code".
#
# Installs the packages in a temporary folder, compiles for a GPU that need not be present, and fails if it says
# anything else. It needs g++ 11 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 \
  nvidia-cuda-runtime==13.0.96 nvidia-nvvm==13.0.88
nvcc=$(find "$folder/venv" -name nvcc -type f)
include=$(dirname "$(find "$folder/venv" -name cuda_runtime.h | head -n 1)")
cat >"$folder/host.cu" <<'CUDA'
struct counter {
  int next() { return ++n; }
  int n = 0;
};
using member = int (counter::*)();
struct entry {
  const char* name;
  member (*choose)();
};
const entry table[] = {{"next", []() -> member { return &counter::next; }}};
int main() {
  counter c;
  return (c.*table[0].choose())() - 1;
}
CUDA
said() {
  if text=$("$nvcc" -std=c++20 "$@" -I "$include" -c "$folder/host.cu" -o "$folder/host.o" 2>&1); then
    echo "compiled"
  else
    grep -oE 'identifier "counter::next" is undefined in device code' <<<"$text" || echo "$text"
  fi
}
seen="without: $(said); with: $(said --expt-relaxed-constexpr)"
echo "$seen"
[ "$seen" = 'without: compiled; with: identifier "counter::next" is undefined in device code' ] ||
  { echo "the behaviour changed" >&2; exit 1; }
