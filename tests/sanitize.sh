#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests under the sanitizers. tests/sanitize.sh: address and undefined behaviour, all tests of the host; threads, all
# that has some: server, engine, store and trainer. tests/sanitize.sh part: what CI has time for: readers of files and
# text, the fuzz corpora, and the threads of engine, store, service and trainer.
#
# The thread sanitizer does not know OpenMP's threads (preset tsan), so loops are serial there. What those threads do,
# disjoint parts of a result, other tests compare bit for bit for one, two and three of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/need.sh
jobs=${JOBS:-$(nproc)}
need "${build_needs[@]}" catch2
model=$(bash scripts/fetch_model.sh)

# run PRESET CTEST_REGEX TARGET... with the sources that `tests` names, in units of `batch`; IAPT_BATCH makes one program.
run() {
  local preset=$1 regex=$2
  shift 2
  echo "== $preset (${SECONDS} s)"
  cmake --preset "$preset" "-DIAPT_TEST_MODEL=$model" "-DIAPT_BATCH=$batch" "-DIAPT_TESTS=$tests" -DIAPT_CHECK_DOCS=OFF
  cmake --build --preset "$preset" --parallel "$jobs" --target "$@"
  ctest --preset "$preset" -R "$regex" --no-tests=error
}

case ${1:-all} in
  part)
    # The fuzz corpora have the rest: adapters and a model, whose own tests take long to compile.
    tests='^text/|^io/(gguf|safetensors|stored_tensor)' batch=14 run sanitize '^(all|fuzz)$' test_all fuzz_replay
    tests='^serve/(adapter_store|engine|service)\.|^train/trainer' batch=3 run tsan '^all$' test_all
    ;;
  all)
    tests='' batch=8 run sanitize '^(all|examples|fuzz)$' test_all test_examples fuzz_replay
    tests='^(serve|train|examples)/' batch=4 run tsan '^(all|examples)$' test_all test_examples
    ;;
  *)
    echo "tests/sanitize.sh [all|part]" >&2
    exit 1
    ;;
esac
echo "== done (${SECONDS} s)"
