#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A concept that passes a lambda is false for nvcc and true for the host's compiler, in one program.
#
# Versions: nvidia-cuda-nvcc 13.0.88 (13.1.115, 13.2.78 and 13.3.73 do the same) and 13.5.37, g++ 12.2.
#
# Behaviour: up to CUDA 13.3, nvcc takes a requires-expression that contains a lambda for unsatisfied, whatever the
# lambda does; g++ and clang++ take it for satisfied. There is no warning. As nvcc gives the host's code to the host's
# compiler as text, a program that selects by such a concept (overloads, `if constexpr`, sizes of arrays) selects
# differently in its kernels and on its host; only a constraint or a static_assert stops it. From 13.4 on both agree,
# but a lambda whose parameter has the concept's template parameter as its type is an error. A class with a call
# operator in the place of the lambda means the same everywhere.
#
# Seen: "13.0.88: host 1, device -1; 13.5.37: device 1, with a parameter of type T: identifier "T" is undefined".
#
# Installs the packages in a temporary folder, compiles for a GPU that need not be present, runs the host's part, and
# fails if it says anything else. It needs g++ 11 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/plain.cu" <<'CUDA'
#include <cstdio>
struct caller {
  template <class F>
  void operator()(F) const {}
};
template <class T>
concept takes_functions = requires(T take) { take([] {}); };
__device__ int on_device = takes_functions<caller> ? 1 : -1;
int main() { std::printf("%d", takes_functions<caller> ? 1 : -1); }
CUDA
sed 's/\[\] {}/[](T) {}/' "$folder/plain.cu" >"$folder/parameter.cu"

# with VERSION: nvcc of that version
with() {
  local packages=()
  for name in nvcc crt runtime; do packages+=("nvidia-cuda-$name==$1"); done
  "$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile "${packages[@]}" "nvidia-nvvm==$1"
  nvcc=$(find "$folder/venv" -name nvcc -type f)
}
# device FILE: the number in the GPU's code
device() {
  "$nvcc" -std=c++20 -ptx "$folder/$1.cu" -o "$folder/$1.ptx"
  sed -n 's/.*on_device = \(-\?[0-9]*\);/\1/p' "$folder/$1.ptx"
}

with 13.0.88
"$nvcc" -std=c++20 "$folder/plain.cu" -L"$(dirname "$nvcc")/../lib" -o "$folder/plain"
seen="13.0.88: host $("$folder/plain"), device $(device plain)"
with 13.5.37
seen+="; 13.5.37: device $(device plain), with a parameter of type T: "
seen+=$(device parameter 2>&1 | grep -o 'identifier .*' || true)
echo "$seen"
[ "$seen" = '13.0.88: host 1, device -1; 13.5.37: device 1, with a parameter of type T: identifier "T" is undefined' ] ||
  { echo "the behaviour changed" >&2; exit 1; }
