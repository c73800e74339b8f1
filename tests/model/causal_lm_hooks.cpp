// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
// The hooks of the whole model: rows before the first layer, soft tokens, gradients of everything.
#include "iapt/autograd/gradcheck.hpp"
#include "model/methods.hpp"

namespace iapt::test::model_causal_lm_hooks {
namespace {

/// Rows `at` of the embedded tokens become trained ones.
struct soft_rows {
  static constexpr hook_set hooks{hook::input};
  matrix rows, place;  // (P, D), (N, P) with a one for each row replaced
  row_tensor kept;     // (N·D), zero where it is
  template <class Context>
  matrix input(Context& ctx, const matrix& x) const {
    return ctx(x * kept.reshape(x.shape()) + matmul(place, rows));
  }
};

/// What one call of `prefix` was given.
struct given_once {
  int number;
  const void* layer;
  std::vector<double> states;
  std::vector<index_t> spans;
  std::vector<double> cos_sin;
};
/// Writes down what it is given.
struct watcher : prompted {
  std::vector<given_once>* seen = nullptr;
  template <class Context>
  key_values<double, test_backend> prefix(Context& ctx, int number, const decoder_layer<double, test_backend>& layer,
                                          const matrix& states, const std::vector<row_span>& rows,
                                          const matrix& cos_sin) const {
    seen->push_back({number, &layer, to_host(states), {}, to_host(cos_sin)});
    for (const row_span& s : rows) seen->back().spans.push_back(s.begin), seen->back().spans.push_back(s.end);
    return prompted::prefix(ctx, number, layer, states, rows, cos_sin);
  }
};
struct raw_watcher : watcher {
  static constexpr bool reads_raw_states = true;
};
/// Doubles the first row.
struct one_row_more {
  static constexpr hook_set hooks{hook::input};
  template <class Context>
  matrix input(Context& ctx, const matrix& x) const {
    return ctx(gather(x, row_indices<test_backend>(x.backend(), {0, 0, 1, 2})));
  }
};

}  // namespace

TEST_CASE("a method that changes the embedded tokens", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  everything method;  // no hook but `input` finds anything
  method.gain = tracked<double>(backend, random({width}, 300));
  lm_type other = lm;
  const inference<test_backend> ctx(backend);
  other.embedding = ctx(lm.embedding.expanded() * method.gain);
  const auto batch = batch_of({0, 1, 2});
  CHECK(logits(lm, batch, method) == logits(other, batch));
  CHECK(gradcheck(
            backend, [&](auto& run) { return lm(run, batch, method); }, method.gain) <= 1e-7);
}

TEST_CASE("a method that writes rows before the first layer", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  packed_batch batch;  // tokens 0 hold the places, in front of the first and inside of the second sequence
  batch.add({0, 0, 4, 5}, {6, 7}), batch.add({8, 0, 9}, {10});
  soft_rows method{tracked<double>(backend, random({3, width}, 320)), {}, {}};
  host_array<2> place({8, 3});
  host_array<1> kept({8 * width});
  std::fill(kept.values.begin(), kept.values.end(), 1);
  lm_type other = lm;  // the same rows as embeddings of three more tokens
  other.config.vocabulary = vocabulary + 3;
  auto embedding = to_host(lm.embedding.expanded());
  for (double v : to_host(method.rows)) embedding.push_back(v);
  other.embedding = from_host(backend, extents<2>{vocabulary + 3, width}, embedding);
  packed_batch with_tokens = batch;
  for (const auto& [row, p] : {std::pair<index_t, index_t>{0, 0}, {1, 1}, {6, 2}}) {
    place(row, p) = 1;
    std::fill_n(kept.values.begin() + row * width, width, 0);
    with_tokens.tokens[std::size_t(row)] = token_id(vocabulary + p);
  }
  method.place = upload_as<double>(backend, place), method.kept = upload_as<double>(backend, kept);
  CHECK(difference(logits(lm, batch, method), logits(other, with_tokens)) <= 1e-13);
  CHECK(gradcheck(
            backend, [&](auto& run) { return lm(run, batch, method); }, method.rows) <= 1e-7);
}

TEST_CASE("a method may not change the number of rows", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  packed_batch batch;
  batch.add({1, 2, 3});
  CHECK(message_of<shape_error>([&] { logits(lm, batch, one_row_more{}); }) ==
        "rope: rows of (4, 24) with angles of (3, 6)");
}

TEST_CASE("what a method is given to write soft tokens from", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const inference<test_backend> ctx(backend);
  packed_batch batch;
  batch.add({5, 6, 7}, {8, 9}), batch.add({1, 2});
  const auto check_given = [&]<class Method>(Method method, placement where, const std::vector<token_id>& tokens,
                                             const std::vector<index_t>& spans, const std::vector<index_t>& positions) {
    std::vector<given_once> seen;
    method.place = where, method.seen = &seen;
    const auto parent = with_soft_tokens(backend, where);
    method.keys = parent.keys, method.values = parent.values;
    logits(lm, batch, method);
    REQUIRE(seen.size() == 3);
    matrix first = ctx(gather(lm.embedding, row_indices<test_backend>(backend, tokens)));
    if constexpr (!requires { Method::reads_raw_states; }) first = lm.layers[0].attention_norm(ctx, first);
    CHECK(seen[0].states == to_host(first));
    for (int l = 0; l < 3; ++l) {
      CHECK(seen[l].number == l);
      CHECK(seen[l].layer == &lm.layers[std::size_t(l)]);
      CHECK(seen[l].spans == spans);
      CHECK(seen[l].cos_sin == to_host(rope_cos_sin<double>(backend, rope_frequencies(6, lm.config.rope), positions)));
    }
  };
  for (const bool raw : {false, true}) {
    const auto check_both = [&](const auto& method) {
      check_given(method, placement::front, {5, 6, 7, 8, 1, 2}, {0, 3, 4, 6}, {0, 1, 0, 1});
      check_given(method, placement::late, {5, 6, 1}, {0, 2, 2, 3}, {2, 3, 1, 2});
    };
    raw ? check_both(raw_watcher{}) : check_both(watcher{});
  }
}

TEST_CASE("the states that late soft tokens are written from are the base model's", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  packed_batch batch, context;
  batch.add({5, 6, 7}, {8, 9}), context.add({5, 6});
  auto method = hooked<raw_watcher>(backend);  // its other hooks change the rows that it does not read
  std::vector<given_once> seen;
  const auto parent = with_soft_tokens(backend, placement::late);
  method.place = placement::late, method.seen = &seen, method.keys = parent.keys, method.values = parent.values;
  logits(lm, batch, method);
  const auto states = lm.layer_inputs(context);
  REQUIRE(seen.size() == 3);
  for (std::size_t l = 0; l < 3; ++l) CHECK(seen[l].states == to_host(states[l]));
}

TEST_CASE("gradients of a method with every hook", "[model]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto batch = batch_of({0, 1});
  const auto check_all = [&](const auto& method, const auto&... others) {
    const auto f = [&](auto& run) { return lm(run, batch, method); };
    CHECK(gradcheck(backend, f, others...) <= 1e-7);
    int number = 0;
    each_tensor(method, [&](const auto& x) {
      CAPTURE(number++);
      CHECK(gradcheck(backend, f, x) <= 1e-7);
    });
  };
  SECTION("without soft tokens") {
    const auto method = with_everything(backend);
    check_all(method, method.gain);
  }
  for (const placement where : {placement::front, placement::late})
    SECTION(where == placement::front ? "in front" : "late") {
      const auto method = with_soft_tokens(backend, where);
      check_all(method, method.keys, method.values);
    }
}

TEST_CASE("layers that are run again give the same bits from a shorter tape", "[model]") {
  test_backend backend = with_threads(2);
  auto lm = small_model(backend);
  const auto batch = batch_of({0, 1, 2});
  const auto same_bits = [&](const auto& method) {
    std::vector<std::vector<double>> all[2];
    std::size_t entries[2];
    for (const bool again : {false, true}) {
      lm.recompute_layers = again;
      each_tensor(method, [](const auto& x) { x.clear_gradient(); });
      tape<test_backend> t(backend);
      const auto y = lm(t, batch, method);
      entries[again] = t.size();
      t.backward(y, random_normal<double>(backend, y.shape(), 1, random_stream(3)));
      all[again].push_back(to_host(y));
      each_tensor(method, [&](const auto& x) {
        REQUIRE(x.has_gradient());
        all[again].push_back(to_host(x.gradient()));
      });
    }
    CHECK(all[0] == all[1]);
    CHECK(entries[1] < entries[0] / 3);
  };
  same_bits(hooked<method_of<delta_hook, after_hook>>(backend));
  same_bits(with_everything(backend));
  same_bits(with_soft_tokens(backend, placement::front));
  same_bits(with_soft_tokens(backend, placement::late));
}

}  // namespace iapt::test::model_causal_lm_hooks
