#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats the C++ and CUDA sources, or with --check says which are not formatted and fails. Versions of clang-format
# differ in details, so it must be version 14 (Debian 12's).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/need.sh
need clang-format:clang-format
program=$(command -v clang-format-14 || command -v clang-format)
if ! "$program" --version | grep -q 'version 14\.'; then
  echo "skipped: $("$program" --version) is not version 14, so the format was not checked" >&2
  exit 0
fi
files() { git ls-files -z '*.hpp' '*.cpp' '*.cu' '*.cuh'; }
case ${1:-} in
  --check) files | xargs -0 "$program" --dry-run -Werror ;;
  '') files | xargs -0 "$program" -i ;;
  *)
    echo "scripts/format.sh [--check]" >&2
    exit 1
    ;;
esac
