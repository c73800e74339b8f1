// SPDX-License-Identifier: Apache-2.0
// Checkpoints: all that a run needs to resume as if it had never stopped, in a folder that is replaced as a whole.
#pragma once
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "iapt/core/error.hpp"
#include "iapt/core/tensor.hpp"
#include "iapt/io/atomic_file.hpp"
#include "iapt/io/atomic_folder.hpp"
#include "iapt/io/mapped_file.hpp"
#include "iapt/io/safetensors.hpp"
#include "iapt/io/safetensors_writer.hpp"
#include "iapt/nn/parameter.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/text/json.hpp"

namespace iapt {

/// The progress of a run. Random numbers are drawn by counter and have no state: seed, step and settings define them.
struct run_position {
  index_t step = 0;                          ///< steps done
  index_t tokens = 0;                        ///< tokens trained on
  double loss = 0;                           ///< loss of the last batch
  std::optional<double> dev_loss = {};       ///< loss of the last evaluation
  std::optional<double> best_dev_loss = {};  ///< lowest dev loss so far
  index_t best_step = 0;                     ///< step of best_dev_loss
  index_t without_gain = 0;                  ///< evaluations since best_step
};

/// The files in a checkpoint's folder.
inline constexpr std::array checkpoint_files{"run.json", "state.safetensors"};

/// Writes a checkpoint atomically: `state.safetensors` has each parameter and its optimizer state, exactly; `run.json`
/// has the progress and the settings.
/// @param folder path of the checkpoint; an old checkpoint there is replaced
/// @param settings settings that the run was started with, an object of plain values
/// @param machines what has computed its steps, an array of such objects (run_machine)
/// @throws io_error if the system refuses; the old checkpoint is then unchanged
template <class T, class Backend>
void save_checkpoint(const std::filesystem::path& folder, const run_position& at,
                     const nlohmann::ordered_json& settings, const nlohmann::json& machines,
                     const adamw<T, Backend>& optimizer) {
  const auto parameters = optimizer.parameters();
  const auto moments = optimizer.state();
  std::vector<std::vector<T>> values;
  nlohmann::ordered_json updates = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    values.push_back(to_host(parameters[i].values));
    updates[parameters[i].name] = moments[i].steps;
  }
  std::vector<tensor_to_store> tensors;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, shape, ignored, group] = parameters[i];
    tensors.push_back(to_store(name, shape, std::span<const T>(values[i])));
    tensors.push_back(to_store("adamw.first." + name, shape, std::span<const T>(moments[i].first)));
    tensors.push_back(to_store("adamw.second." + name, shape, std::span<const T>(moments[i].second)));
  }
  const auto or_null = [](const std::optional<double>& x) {
    return x ? nlohmann::ordered_json(*x) : nlohmann::ordered_json();
  };
  const nlohmann::ordered_json run{{"step", at.step},
                                   {"tokens", at.tokens},
                                   {"loss", at.loss},
                                   {"dev_loss", or_null(at.dev_loss)},
                                   {"best_dev_loss", or_null(at.best_dev_loss)},
                                   {"best_step", at.best_step},
                                   {"without_gain", at.without_gain},
                                   {"settings", settings},
                                   {"machines", machines},
                                   {"updates", updates}};
  atomic_folder writer(folder, checkpoint_files);
  write_safetensors(writer.partial() / "state.safetensors", std::move(tensors));
  write_text_file(writer.partial() / "run.json", run.dump(1) + "\n");
  writer.commit();
}

/// The content of a checkpoint's `run.json`.
struct stored_run {
  run_position at;               ///< progress of the run
  nlohmann::json settings;       ///< settings that it was started with
  nlohmann::json machines;       ///< what has computed its steps; null in a checkpoint of version 0.1
  nlohmann::json updates;        ///< number of updates of each parameter, by name
  std::filesystem::path folder;  ///< folder of the checkpoint
};

/// Reads the progress of a run.
/// @throws io_error if there is no checkpoint, or it is damaged
inline stored_run read_run(const std::filesystem::path& folder) {
  stored_run run{
      .at = {}, .settings = {}, .machines = {}, .updates = {}, .folder = complete_folder(folder, checkpoint_files[0])};
  const auto path = run.folder / "run.json";
  const std::string text = read_text_file(path);
  try {
    const auto json = parse_json(text, path.string(), "the state of the run");
    const auto number = [&](const char* name) {
      return json.at(name).is_null() ? std::optional<double>() : json.at(name).get<double>();
    };
    for (const char* name : {"step", "tokens", "best_step", "without_gain"})
      if (!json.at(name).is_number_unsigned())
        throw io_error(path.string() + ": is no checkpoint of a run: \"" + name + "\" is not a count");
    run.at = {.step = json.at("step"),
              .tokens = json.at("tokens"),
              .loss = json.at("loss"),
              .dev_loss = number("dev_loss"),
              .best_dev_loss = number("best_dev_loss"),
              .best_step = json.at("best_step"),
              .without_gain = json.at("without_gain")};
    run.settings = json.at("settings");
    run.machines = json.value("machines", nlohmann::json());
    run.updates = json.at("updates");
  } catch (const nlohmann::json::exception& failure) {
    throw io_error(path.string() + ": is no checkpoint of a run: " + failure.what() + "; start the run anew");
  } catch (const io_error& failure) { throw io_error(failure.what() + std::string("; start the run anew")); }
  return run;
}

/// The differences between two objects of plain values: one line for each name whose value in the second differs.
inline std::string differences(const nlohmann::json& before, const nlohmann::ordered_json& given) {
  const nlohmann::json now = parse_json(given.dump());  // as a reader parses it
  std::string lines;
  for (const auto& [name, value] : now.items()) {
    const auto old = before.find(name);
    if (old != before.end() && *old == value) continue;
    lines +=
        "\n      " + name + ": " + (old == before.end() ? "nothing" : old->dump()) + " then, " + value.dump() + " now";
  }
  return lines;
}

/// Refuses to resume a run that was started with other settings: it would not be the same run.
/// @throws error with each setting that differs
inline void require_equal_settings(const stored_run& run, const nlohmann::ordered_json& given) {
  if (const std::string found = differences(run.settings, given); !found.empty())
    throw error(run.folder.string() +
                ": the run to resume was started with other settings; give the same, or start "
                "anew without resuming:" +
                found);
}

/// Says how exactly a run resumes, for the user; it follows "resumed at step 6 of 21".
/// @param run the checkpoint
/// @param machine what computes the run now (run_machine)
inline std::string to_text(const stored_run& run, const nlohmann::json& machine) {
  if (!run.machines.is_array())
    return "\nnote: the checkpoint does not say what computed it, so the run may not go on bit for bit";
  std::string found;
  for (const auto& one : run.machines) found += differences(one, machine);
  if (found.empty()) return ", bit for bit as if it had not stopped";
  return "\nnote: the run is not bit for bit one that never stopped, because something else computed steps of it:" +
         found;
}

/// Loads a checkpoint into the parameters and the optimizer.
/// @throws io_error if it belongs to other parameters; then nothing is changed
template <class T, class Backend>
void load_checkpoint(const stored_run& run, adamw<T, Backend>& optimizer) {
  const auto file = safetensors_file::open(run.folder / "state.safetensors");
  const auto read = [&](const std::string& name, const std::vector<index_t>& shape) {
    const stored_tensor* found = file.tensors().find(name);
    if (!found || found->shape != shape)
      throw io_error(file.name() + ": " + (found ? "tensor " : "there is no tensor ") + in_quotes(name) +
                     (found ? " has shape " + to_text(found->shape) + ", expected " + to_text(shape) : "") +
                     "; the checkpoint belongs to another method or model");
    std::vector<T> values(std::size_t(found->size()));
    copy_into(*found, std::span<T>(values));
    return values;
  };
  const auto parameters = optimizer.parameters();
  std::vector<std::vector<T>> values;
  std::vector<adamw_moments<T>> moments;
  for (const auto& p : parameters) {
    const auto updates = run.updates.find(p.name);
    if (updates == run.updates.end() || !updates->is_number_unsigned())
      throw io_error((run.folder / "run.json").string() + ": has no number of updates for " + in_quotes(p.name));
    values.push_back(read(p.name, p.shape));
    moments.push_back({.first = read("adamw.first." + p.name, p.shape),
                       .second = read("adamw.second." + p.name, p.shape),
                       .steps = updates->template get<std::int64_t>()});
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) upload(parameters[i].values, values[i]);
  optimizer.restore(moments);
}

}  // namespace iapt
