#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nvcc makes a list of one value of an empty list, on the host.
#
# Versions: nvidia-cuda-nvcc 13.0.88 and 13.5.37, g++ 12.2.
#
# Behaviour: for a class with a constructor from std::initializer_list and no default constructor, `T x{}` calls that
# constructor with an empty list. nvcc writes it as `T x{{}}` into the text that it gives to the host's compiler, and
# there it is a list of one value, zero. So x is another object on the host than in kernels, and than in the same file
# compiled by g++; there is no warning. It is so for variables, static members and temporaries, constexpr or not. In a
# template nvcc keeps the braces. A class that has a default constructor, too, means the same everywhere.
#
# Seen: "g++: 0 0; nvcc 13.0.88: host 1, in a template 0, device 0; nvcc 13.5.37: host 1, in a template 0, device 0".
#
# Installs the packages in a temporary folder, compiles for a GPU that need not be present, runs the host's part, and
# fails if it says anything else. It needs g++ 11 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/list.cu" <<'CUDA'
#include <cstdio>
#include <initializer_list>
struct list {
  int size = 0;
  constexpr list(std::initializer_list<int> values) : size(int(values.size())) {}
};
struct plain {
  static constexpr list empty{};
};
template <class T>
struct in_template {
  static constexpr list empty{};
};
#ifdef __CUDACC__
__device__ int on_device = plain::empty.size;
#endif
int main() { std::printf("%d %d", plain::empty.size, in_template<int>::empty.size); }
CUDA

g++ -x c++ -std=c++20 "$folder/list.cu" -o "$folder/list"
seen="g++: $("$folder/list")"
for version in 13.0.88 13.5.37; do
  packages=()
  for name in nvcc crt runtime; do packages+=("nvidia-cuda-$name==$version"); done
  "$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile "${packages[@]}" "nvidia-nvvm==$version"
  nvcc=$(find "$folder/venv" -name nvcc -type f)
  "$nvcc" -std=c++20 "$folder/list.cu" -L"$(dirname "$nvcc")/../lib" -o "$folder/list"
  "$nvcc" -std=c++20 -ptx "$folder/list.cu" -o "$folder/list.ptx"
  read -r host template < <("$folder/list"; echo)
  device=$(sed -n 's/.*u32 on_device\( = \([0-9]*\)\)\?;/\2/p' "$folder/list.ptx") # zero is left out
  seen+="; nvcc $version: host $host, in a template $template, device ${device:-0}"
done
echo "$seen"
[ "$seen" = "g++: 0 0; nvcc 13.0.88: host 1, in a template 0, device 0; \
nvcc 13.5.37: host 1, in a template 0, device 0" ] || { echo "the behaviour changed" >&2; exit 1; }
