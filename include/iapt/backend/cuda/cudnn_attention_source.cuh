// SPDX-License-Identifier: Apache-2.0
// Definitions of cudnn_attention.cuh: one translation unit of a program includes them, any C++ compiler's.
#pragma once
#if !defined(CUDNN_FRONTEND_SKIP_JSON_LIB)
#define CUDNN_FRONTEND_SKIP_JSON_LIB  // half of what a compiler would have to read
#endif
#include <cudnn.h>
#include <cudnn_frontend.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <unordered_map>
#include <vector>

#include "iapt/backend/cuda/cudnn_attention.cuh"
#include "iapt/core/error.hpp"

namespace iapt {
namespace cudnn_detail {

namespace fe = cudnn_frontend;
using tensor_attributes = std::shared_ptr<fe::graph::Tensor_attributes>;

/// Numbers of a graph's tensors, by which a run finds their memory.
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

inline std::string to_text(const cudnn_shape& s) {
  return "attention" + std::string(s.adjoint ? "'s adjoint" : "") + " of " + std::to_string(s.sequences) +
         " sequences of up to " + std::to_string(s.longest) + " rows, " + std::to_string(s.heads) + " heads, " +
         std::to_string(s.kv_heads) + " key/value heads of " + std::to_string(s.head_size);
}
/// @throws device_error if a call of cuDNN's frontend failed
inline void check(fe::error_t status, const cudnn_shape& shape) {
  if (status.is_bad())
    throw device_error("cuda: cuDNN: " + to_text(shape) + ": " + status.get_message() +
                       "; cuda_options{.fused_attention = false} does without");
}

/// The statement in cuDNN's terms. Rows are packed: where a sequence begins, an array says, in numbers.
inline void write_statement(fe::graph::Graph& graph, const cudnn_shape& s) {
  graph.set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const auto integers = [&](tensor_number number, extent count) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_uid(number)
                            .set_dim({count, 1, 1, 1})
                            .set_stride({1, 1, 1, 1})
                            .set_data_type(fe::DataType_t::INT32));
  };
  const auto length = integers(lengths, s.sequences);
  const auto query_at = integers(query_offsets, s.sequences + 1), key_at = integers(key_offsets, s.sequences + 1),
             sum_at = integers(sum_offsets, s.sequences + 1);
  // (B, heads, S, size) with the strides of packed rows.
  const auto packed = [&](auto& x, tensor_number number, extent heads, extent size, const tensor_attributes& offsets) {
    x.set_uid(number)
        .set_dim({s.sequences, heads, s.longest, size})
        .set_stride({s.longest * heads * size, size, heads * size, 1})
        .set_ragged_offset(offsets);
  };
  const auto input = [&](tensor_number number, extent heads, const tensor_attributes& offsets) {
    fe::graph::Tensor_attributes x;
    packed(x, number, heads, s.head_size, offsets);
    return graph.tensor(x);
  };
  const auto output = [&](const tensor_attributes& x, tensor_number number, extent heads,
                          const tensor_attributes& offsets) {
    x->set_output(true);
    packed(*x, number, heads, s.head_size, offsets);
  };
  const auto see = [&](auto attributes) {
    attributes.set_attn_scale(float(1 / std::sqrt(double(s.head_size))))
        .set_padding_mask(true)
        .set_seq_len_q(length)
        .set_seq_len_kv(length)
        .set_causal_mask(true);
    return attributes;
  };
  const auto in_q = input(q, s.heads, query_at), in_k = input(k, s.kv_heads, key_at),
             in_v = input(v, s.kv_heads, key_at);
  if (!s.adjoint) {
    const auto [result, log_sum] =
        graph.sdpa(in_q, in_k, in_v, see(fe::graph::SDPA_attributes().set_name("forward").set_generate_stats(true)));
    output(result, y, s.heads, query_at);
    log_sum->set_output(true).set_data_type(fe::DataType_t::FLOAT);
    packed(*log_sum, sums, s.heads, 1, sum_at);
  } else {
    const auto result = input(y, s.heads, query_at), dresult = input(dy, s.heads, query_at);
    fe::graph::Tensor_attributes log_sum;
    log_sum.set_data_type(fe::DataType_t::FLOAT);
    packed(log_sum, sums, s.heads, 1, sum_at);
    auto how = see(fe::graph::SDPA_backward_attributes().set_name("adjoint"));
    how.set_deterministic_algorithm(true);
    const auto [to_q, to_k, to_v] = graph.sdpa_backward(in_q, in_k, in_v, result, dresult, graph.tensor(log_sum), how);
    output(to_q, dq, s.heads, query_at), output(to_k, dk, s.kv_heads, key_at), output(to_v, dv, s.kv_heads, key_at);
  }
}

}  // namespace cudnn_detail

struct cudnn_attention::state {
  cudnnHandle_t handle = nullptr;
  int capability = 0;
  std::map<cudnn_shape, std::unique_ptr<cudnn_frontend::graph::Graph>> graphs;
  std::map<cudnn_shape, std::size_t> workspaces;

  ~state() {
    if (handle) cudnnDestroy(handle);
  }
  void run(const cudnn_shape& shape, const fused_sequences& s, void* workspace, const attention_arrays<bfloat16>& a,
           std::unordered_map<std::int64_t, void*> places) {
    using namespace cudnn_detail;
    const auto readable = [](const auto* p) { return const_cast<void*>(static_cast<const void*>(p)); };
    places.insert({{lengths, readable(s.lengths)},
                   {query_offsets, readable(s.query_offsets)},
                   {key_offsets, readable(s.key_offsets)},
                   {sum_offsets, readable(s.sum_offsets)},
                   {q, readable(a.q)},
                   {k, readable(a.k)},
                   {v, readable(a.v)},
                   {y, a.y},
                   {sums, a.log_sum}});
    check(graphs.at(shape)->execute(handle, places, workspace), shape);
  }
};

cudnn_attention::cudnn_attention(cudaStream_t stream) : state_(std::make_unique<state>()) {
  const auto must = [](cudnnStatus_t status) {
    if (status != CUDNN_STATUS_SUCCESS) throw device_error(std::string("cuda: cuDNN: ") + cudnnGetErrorString(status));
  };
  must(cudnnCreate(&state_->handle));
  must(cudnnSetStream(state_->handle, stream));
  int device = 0;
  cudaDeviceProp properties;
  if (cudaGetDevice(&device) == cudaSuccess && cudaGetDeviceProperties(&properties, device) == cudaSuccess)
    state_->capability = properties.major * 10 + properties.minor;
}
cudnn_attention::~cudnn_attention() = default;

bool cudnn_attention::knows(const head_layout& layout) const {
  constexpr std::size_t packed_sums = 90900;  // version 9.9
  return state_->capability >= 90 && cudnnGetVersion() >= packed_sums && layout.head_size % 16 == 0 &&
         layout.head_size <= 128;
}

std::size_t cudnn_attention::workspace_bytes(const cudnn_shape& shape) {
  const auto found = state_->workspaces.find(shape);
  if (found != state_->workspaces.end()) return found->second;
  auto graph = std::make_unique<cudnn_frontend::graph::Graph>();
  cudnn_detail::write_statement(*graph, shape);
  cudnn_detail::check(graph->build(state_->handle, {cudnn_frontend::HeurMode_t::A}), shape);
  std::int64_t bytes = 0;
  cudnn_detail::check(graph->get_workspace_size(bytes), shape);
  state_->graphs.emplace(shape, std::move(graph));
  return state_->workspaces.emplace(shape, std::size_t(bytes)).first->second;
}

void cudnn_attention::forward(const cudnn_shape& shape, const fused_sequences& sequences, void* workspace,
                              const attention_arrays<bfloat16>& arrays) {
  state_->run(shape, sequences, workspace, arrays, {});
}

void cudnn_attention::adjoint(const cudnn_shape& shape, const fused_sequences& sequences, void* workspace,
                              const attention_arrays<bfloat16>& arrays, const attention_adjoints<bfloat16>& adjoints) {
  using namespace cudnn_detail;
  state_->run(shape, sequences, workspace, arrays,
              {{dy, const_cast<bfloat16*>(adjoints.dy)}, {dq, adjoints.dq}, {dk, adjoints.dk}, {dv, adjoints.dv}});
}

std::string cudnn_attention::refusal(const cudnn_shape& shape, std::string_view device, int capability) {
  const auto properties = std::make_shared<cudnn_frontend::DeviceProperties>();
  cudnn_frontend::error_t status = properties->deserialize({device.begin(), device.end()});
  cudnn_frontend::graph::Graph graph;
  graph.set_device_properties(properties).set_sm_version(capability);  // before the statement: it takes them over
  cudnn_detail::write_statement(graph, shape);
  if (status.is_good()) status = graph.validate();
  if (status.is_good()) status = graph.build_operation_graph();
  if (status.is_good()) status = graph.create_execution_plans({cudnn_frontend::HeurMode_t::A});
  if (status.is_good()) status = graph.check_support();
  return status.is_good() ? "" : status.get_message().empty() ? "no reason given" : status.get_message();
}

}  // namespace iapt
