// SPDX-License-Identifier: Apache-2.0
// Definitions of cudnn_attention.cuh. One translation unit of a program includes them, with any C++ compiler.
#pragma once
#if !defined(CUDNN_FRONTEND_SKIP_JSON_LIB)
#define CUDNN_FRONTEND_SKIP_JSON_LIB  // half of the code that a compiler would read
#endif
#include <cudnn.h>
#include <cudnn_frontend.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "iapt/backend/cuda/cudnn_attention.cuh"
#include "iapt/core/error.hpp"

namespace iapt {
namespace cudnn_detail {

namespace fe = cudnn_frontend;
/// A tensor of a graph.
using tensor_attributes = std::shared_ptr<fe::graph::Tensor_attributes>;

/// Ids of a graph's tensors; a run finds their memory by id.
enum tensor_number : std::int64_t {
  lengths = 1,
  query_offsets,
  key_offsets,
  sum_offsets,
  q,
  k,
  v,
  y,
  sums,
  dy,
  dq,
  dk,
  dv
};

/// A shape as text, for messages.
inline std::string to_text(const cudnn_shape& s) {
  return "attention" + std::string(s.adjoint ? "'s adjoint" : "") + " of " + std::to_string(s.sequences) +
         " sequences of up to " + std::to_string(s.longest) + " rows, " + std::to_string(s.heads()) + " heads, " +
         std::to_string(s.kv_heads) + " key/value heads of " + std::to_string(s.layout.head_size);
}
/// What to do if cuDNN fails.
inline constexpr auto way_out = "; cuda_options{.fused_attention = false} does without";

/// Writes the statement as a cuDNN graph. Rows are packed: offsets, in elements, say where a sequence begins.
inline void write_statement(fe::graph::Graph& graph, const cudnn_shape& s) {
  graph.set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const auto integers = [&](tensor_number number, index_t count) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_uid(number)
                            .set_dim({count, 1, 1, 1})
                            .set_stride({1, 1, 1, 1})
                            .set_alignment(sizeof(std::int32_t))
                            .set_data_type(fe::DataType_t::INT32));
  };
  const auto length = integers(lengths, s.sequences);
  const auto query_at = integers(query_offsets, s.sequences + 1), key_at = integers(key_offsets, s.sequences + 1),
             sum_at = integers(sum_offsets, s.sequences + 1);
  // (B, heads, S, size), with the strides of packed rows of `all` heads.
  const auto packed = [&](auto& x, tensor_number number, index_t heads, index_t all, index_t size,
                          const tensor_attributes& offsets) {
    x.set_uid(number)
        .set_dim({s.sequences, heads, s.longest, size})
        .set_stride({s.longest * all * size, size, all * size, 1})
        .set_ragged_offset(offsets);
  };
  const index_t size = s.layout.head_size;
  const auto queries = [&](auto& x, tensor_number number) {
    packed(x, number, s.heads(), s.layout.heads, size, query_at);
  };
  const auto keys = [&](auto& x, tensor_number number) {
    packed(x, number, s.kv_heads, s.layout.kv_heads, size, key_at);
  };
  const auto log_sums = [&](auto& x) {
    x.set_data_type(fe::DataType_t::FLOAT).set_alignment(sizeof(float));
    packed(x, sums, s.heads(), s.layout.heads, 1, sum_at);
  };
  const auto input = [&](const auto& describe, auto... number) {
    fe::graph::Tensor_attributes x;
    describe(x, number...);
    return graph.tensor(x);
  };
  const auto output = [&](const tensor_attributes& x, const auto& describe, auto... number) {
    x->set_output(true);
    describe(*x, number...);
  };
  const auto see = [&](auto attributes) {
    attributes.set_attn_scale(float(s.layout.score_scale()))
        .set_padding_mask(true)
        .set_seq_len_q(length)
        .set_seq_len_kv(length)
        .set_causal_mask(true);
    return attributes;
  };
  const auto in_q = input(queries, q), in_k = input(keys, k), in_v = input(keys, v);
  if (!s.adjoint) {
    const auto [result, log_sum] =
        graph.sdpa(in_q, in_k, in_v, see(fe::graph::SDPA_attributes().set_name("forward").set_generate_stats(true)));
    output(result, queries, y), output(log_sum, log_sums);
  } else {
    const auto how = see(fe::graph::SDPA_backward_attributes().set_name("adjoint").set_deterministic_algorithm(true));
    const auto [to_q, to_k, to_v] =
        graph.sdpa_backward(in_q, in_k, in_v, input(queries, y), input(queries, dy), input(log_sums), how);
    output(to_q, queries, dq), output(to_k, keys, dk), output(to_v, keys, dv);
  }
}

}  // namespace cudnn_detail

/// The open handle and the compiled graphs.
struct cudnn_attention::state {
  /// Deleter of a handle.
  struct close {
    /// Destroys the handle.
    void operator()(cudnnContext* handle) const { cudnnDestroy(handle); }
  };
  const cuda_device& device;                                                         ///< device of the handle
  std::unique_ptr<cudnnContext, close> handle = {};                                  ///< handle on the device's stream
  std::map<cudnn_shape, std::unique_ptr<cudnn_frontend::graph::Graph>> graphs = {};  ///< compiled graphs
  std::map<cudnn_shape, std::size_t> workspaces = {};                                ///< bytes of each workspace

  /// @throws device_error if a call of cuDNN's frontend failed
  void check(cudnn_frontend::error_t status, const cudnn_shape& shape) const {
    if (status.is_bad())
      device.fail("cuDNN: " + cudnn_detail::to_text(shape), status.get_message() + cudnn_detail::way_out);
  }
  /// Runs a graph; `adjoints` is null for the forward.
  /// @throws device_error if cuDNN fails
  void run(const cudnn_shape& shape, const fused_sequences& s, index_t kv_head, void* workspace,
           const attention_arrays<bfloat16>& a, const attention_adjoints<bfloat16>* adjoints) {
    using namespace cudnn_detail;
    const index_t head = kv_head * shape.layout.heads / shape.layout.kv_heads, size = shape.layout.head_size;
    const auto at = [](const auto* p, index_t n) { return const_cast<void*>(static_cast<const void*>(p + n)); };
    std::unordered_map<std::int64_t, void*> places{
        {lengths, at(s.lengths, 0)},         {query_offsets, at(s.query_offsets, 0)},
        {key_offsets, at(s.key_offsets, 0)}, {sum_offsets, at(s.sum_offsets, 0)},
        {q, at(a.q, head * size)},           {k, at(a.k, kv_head * size)},
        {v, at(a.v, kv_head * size)},        {y, at(a.y, head * size)},
        {sums, at(a.log_sum, head)}};
    if (adjoints)
      places.insert({{dy, at(adjoints->dy, head * size)},
                     {dq, at(adjoints->dq, head * size)},
                     {dk, at(adjoints->dk, kv_head * size)},
                     {dv, at(adjoints->dv, kv_head * size)}});
    check(graphs.at(shape)->execute(handle.get(), places, workspace), shape);
  }
};

bool cudnn_attention::knows(const head_layout& layout, int capability) {
  // Packed sums need cuDNN 9.9; on Blackwell, the deterministic adjoint of packed rows needs 9.18.
  const bool device = capability / 10 == 9 || (capability / 10 == 10 && cudnnGetVersion() >= 91800);
  return device && cudnnGetVersion() >= 90900 && layout.head_size % 16 == 0 && layout.head_size <= 128;
}

cudnn_attention::cudnn_attention(const cuda_device& device) : state_(new state{device}) {
  const auto must = [&](cudnnStatus_t status) {
    if (status != CUDNN_STATUS_SUCCESS)
      device.fail("cuDNN", cudnnGetErrorString(status) + std::string(cudnn_detail::way_out));
  };
  cudnnHandle_t handle = nullptr;
  must(cudnnCreate(&handle));
  state_->handle.reset(handle);
  must(cudnnSetStream(handle, device.stream()));
}
cudnn_attention::~cudnn_attention() = default;

std::size_t cudnn_attention::workspace_bytes(const cudnn_shape& shape) {
  const auto found = state_->workspaces.find(shape);
  if (found != state_->workspaces.end()) return found->second;
  auto graph = std::make_unique<cudnn_frontend::graph::Graph>();
  cudnn_detail::write_statement(*graph, shape);
  state_->check(graph->build(state_->handle.get(), {cudnn_frontend::HeurMode_t::A}), shape);
  std::int64_t bytes = 0;
  state_->check(graph->get_workspace_size(bytes), shape);
  state_->graphs.emplace(shape, std::move(graph));
  return state_->workspaces.emplace(shape, std::size_t(bytes)).first->second;
}

void cudnn_attention::forward(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head,
                              void* workspace, const attention_arrays<bfloat16>& arrays) {
  state_->run(shape, sequences, kv_head, workspace, arrays, nullptr);
}

void cudnn_attention::adjoint(const cudnn_shape& shape, const fused_sequences& sequences, index_t kv_head,
                              void* workspace, const attention_arrays<bfloat16>& arrays,
                              const attention_adjoints<bfloat16>& adjoints) {
  state_->run(shape, sequences, kv_head, workspace, arrays, &adjoints);
}

std::string cudnn_attention::refusal(const cudnn_shape& shape, std::string_view device, int capability) {
  const auto properties = std::make_shared<cudnn_frontend::DeviceProperties>();
  cudnn_frontend::error_t status = properties->deserialize({device.begin(), device.end()});
  cudnn_frontend::graph::Graph graph;
  graph.set_device_properties(properties).set_sm_version(capability);  // before the statement, which reads them
  cudnn_detail::write_statement(graph, shape);
  if (status.is_good()) status = graph.validate();
  if (status.is_good()) status = graph.build_operation_graph();
  if (status.is_good()) status = graph.create_execution_plans({cudnn_frontend::HeurMode_t::A});
  if (status.is_good()) status = graph.check_support();
  return status.is_good() ? "" : status.get_message().empty() ? "no reason given" : status.get_message();
}

}  // namespace iapt
