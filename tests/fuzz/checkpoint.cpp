// SPDX-License-Identifier: Apache-2.0
// Fuzz target of checkpoints: any two files are the state of a run, or an error of ours. The input is run.json and
// state.safetensors (parts_of).
#include "iapt/train/checkpoint.hpp"

#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/backend/eigen/backend.hpp"
#include "iapt/core/random.hpp"
#include "support/temporary_folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static eigen_backend backend({.threads = 1});
  static adamw<float, eigen_backend> optimizer = [] {
    parameter_list<float, eigen_backend> parameters;
    add_parameter(parameters, "head", filled<float>(backend, extents<2>{2, 3}, 1));
    add_parameter(parameters, "scale", filled<float>(backend, extents<1>{3}, 1), parameter_group::coefficients);
    return adamw<float, eigen_backend>(parameters);
  }();
  static const test::temporary_folder folder;
  auto parts = fuzz::parts_of(fuzz::text_of(data, size));
  parts.resize(2);
  folder.write("run.json", parts[0]);
  folder.write("state.safetensors", parts[1]);
  fuzz::refuses_or_reads([&] {
    const stored_run run = read_run(folder.path());
    fuzz::refuses_or_reads([&] { require_equal_settings(run, {{"batch", 4}, {"method", {{"rank", 8}}}}); });
    load_checkpoint(run, optimizer);
  });
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_folder);
