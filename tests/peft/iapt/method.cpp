// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda
// The method against its literal form: soft tokens as rows of every layer's input, dropped behind the layer.
#include "iapt/peft/iapt/method.hpp"

#include "iapt/autograd/gradcheck.hpp"
#include "iapt/model/decoder.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "support/catch.hpp"
#include "support/small_model.hpp"

namespace iapt::test::peft_iapt_method {
namespace {

using lm_type = causal_lm<double, test_backend>;
using matrix = tensor<double, 2, test_backend>;
template <class Generator>
iapt_method<Generator> moved(const lm_type& lm, iapt_options o) {
  if (o.start != prompt_start::random) o.start_text = small_tokens(9, 4);
  return test::moved(make_iapt<Generator>(lm, o));
}

// Rows of x put together: `which` counts the rows of a, then those of b.
template <class Context>
matrix rows_of(Context& ctx, const matrix& x, std::vector<std::int32_t> which) {
  return ctx(gather(x, row_indices<test_backend>(x.backend(), std::move(which))));
}

/// One sequence, soft tokens at row `at` of every layer's input, ordinary causal attention, no prefix.
template <class Context, class Method>
matrix literal(Context& ctx, const lm_type& lm, const packed_batch& batch, const Method& method) {
  const packed_sequence s = batch.sequences[0];
  const index_t P = method.soft_tokens(), N = s.count;
  const bool late = method.where() == placement::late;
  const index_t at = late ? s.instruction - 1 : 0;
  const row_span read{0, late ? s.instruction - 1 : s.instruction};
  std::vector<index_t> positions(N + P);
  for (index_t i = 0; i < N + P; ++i) positions[i] = i;
  const auto cos_sin = rope_cos_sin<double>(lm.backend(), rope_frequencies(6, lm.config.rope), positions);
  const attention_view<double, test_backend> view{{{.begin = 0, .count = N + P}}, cos_sin, {}, {}};
  std::vector<std::int32_t> kept;
  for (index_t i = 0; i < N; ++i) kept.push_back(std::int32_t(i < at ? i : i + P));
  matrix x = ctx(gather(lm.embedding, row_indices<test_backend>(lm.backend(), batch.tokens)));
  for (index_t l = 0; l < lm.config.layers; ++l) {
    const auto& g = method.generators[l];
    const auto z = g.summary(ctx, lm.layers[l].attention_norm(ctx, x), {read}, P);
    auto prompts = ctx(matmul(g.activation(ctx, z), g.output.up));
    if (g.output.base) prompts = ctx(prompts + g.output.base);
    // One matrix with the rows of x and the prompts in place: products with matrices of zeros and ones.
    std::vector<double> put(std::size_t((N + P) * N)), soft(std::size_t((N + P) * P));
    for (index_t i = 0; i < N; ++i) put[std::size_t(kept[i] * N + i)] = 1;
    for (index_t p = 0; p < P; ++p) soft[std::size_t((at + p) * P + p)] = 1;
    const auto a = from_host(lm.backend(), extents<2>{N + P, N}, put);
    const auto b = from_host(lm.backend(), extents<2>{N + P, P}, soft);
    const matrix joined = ctx(matmul(a, x) + matmul(b, prompts));
    const auto y = lm.layers[l](ctx, joined, lm.layers[l].attention_norm(ctx, joined), no_method{}, int(l), view).y;
    x = rows_of(ctx, y, kept);
  }
  return ctx(matmul(lm.final_norm(ctx, rows_of(ctx, x, batch.logit_rows)), transposed(lm.head)));
}

packed_batch one_sequence() {
  packed_batch batch;
  batch.add(small_tokens(7, 1), small_tokens(4, 2));
  return batch;
}

template <class F>
std::vector<std::vector<double>> gradients(test_backend& backend, parameter_list<double, test_backend> parameters,
                                           F f) {
  for (auto& p : parameters) p.values.clear_gradient();
  tape<test_backend> t(backend);
  t.backward(f(t));
  std::vector<std::vector<double>> all;
  for (auto& p : parameters)
    all.push_back(p.values.has_gradient() ? to_host(p.values.gradient()) : std::vector<double>());
  return all;
}

}  // namespace

TEST_CASE("the literal placement equals the key/value form, logits and gradients", "[peft]") {
  const bool switches = GENERATE(false, true);  // a generator's keys are normed and rotated as the layer's own
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend, switches);
  const auto batch = one_sequence();
  const row_indices<test_backend> targets(backend, batch.targets);
  for (const placement where : {placement::front, placement::late})
    for (const prompt_start start : {prompt_start::text, prompt_start::random, prompt_start::last}) {
      auto method = moved<hidden_generator<double, test_backend>>(
          lm, {.soft_tokens = 3, .bottleneck = 5, .where = where, .start = start});
      inference<test_backend> run(backend);
      CHECK(difference(to_host(lm(run, batch, method)), to_host(literal(run, lm, batch, method))) < 1e-10);
      const auto short_form = gradients(backend, method.parameters(),
                                        [&](auto& t) { return t(cross_entropy(lm(t, batch, method), targets)); });
      const auto long_form = gradients(backend, method.parameters(), [&](auto& t) {
        return t(cross_entropy(literal(t, lm, batch, method), targets));
      });
      for (std::size_t i = 0; i < short_form.size(); ++i) CHECK(difference(short_form[i], long_form[i]) < 1e-10);
    }
}

TEMPLATE_TEST_CASE("gradients of everything trained", "[peft]", (hidden_generator<double, test_backend>),
                   (hidden_gains_generator<double, test_backend>), (key_value_generator<double, test_backend>)) {
  test_backend backend = with_threads(1);
  auto lm = small_model(backend);
  const packed_batch batch = two_sequences();
  const row_indices<test_backend> targets(backend, batch.targets);
  for (const placement where : {placement::front, placement::late})
    for (const index_t shared_by : {1, 2}) {
      auto method =
          moved<TestType>(lm, {.soft_tokens = 3, .bottleneck = 4, .where = where, .layers_per_projection = shared_by});
      const auto loss = [&](auto& ctx) { return ctx(cross_entropy(lm(ctx, batch, method), targets)); };
      for (auto& p : method.parameters())
        if (p.name.find("layers.0") == 0 || p.name.find("layers.2") == 0) {
          INFO(p.name);
          CHECK(gradcheck(backend, loss, p.values) < 2e-6);
          for (auto& q : method.parameters()) q.values.clear_gradient();
        }
      // A layer that is run again gives the same gradients, bit for bit.
      const auto once = gradients(backend, method.parameters(), loss);
      lm.recompute_layers = true;
      CHECK(gradients(backend, method.parameters(), loss) == once);
      lm.recompute_layers = false;
    }
}

TEST_CASE("response tokens never reach a prompt", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  for (const placement where : {placement::front, placement::late}) {
    auto method =
        moved<key_value_generator<double, test_backend>>(lm, {.soft_tokens = 3, .bottleneck = 4, .where = where});
    std::vector<double> first, second;
    for (auto* seen : {&first, &second}) {
      packed_batch batch;
      batch.add(small_tokens(7, 1), small_tokens(4, seen == &first ? 2 : 3));
      method.watch_summary = [seen](int, const matrix& z) {
        for (double v : to_host(z)) seen->push_back(v);
      };
      inference<test_backend> run(backend);
      lm(run, batch, method);
    }
    CHECK(!first.empty());
    CHECK(first == second);
  }
}

TEST_CASE("each sequence of a packed batch equals itself alone, and reading with a cache equals reading at once",
          "[peft]") {
  test_backend backend = with_threads(2);
  const auto lm = small_model(backend);
  inference<test_backend> run(backend);
  for (const placement where : {placement::front, placement::late}) {
    const auto method =
        moved<key_value_generator<double, test_backend>>(lm, {.soft_tokens = 3, .bottleneck = 4, .where = where});
    packed_batch both, one, two;
    both.add(small_tokens(7, 1), small_tokens(4, 2)), one.add(small_tokens(7, 1), small_tokens(4, 2));
    both.add(small_tokens(5, 3), small_tokens(2, 4)), two.add(small_tokens(5, 3), small_tokens(2, 4));
    auto alone = to_host(lm(run, one, method));
    for (double v : to_host(lm(run, two, method))) alone.push_back(v);
    CHECK(difference(to_host(lm(run, both, method)), alone) < 1e-12);

    packed_batch prompt;
    prompt.add(small_tokens(7, 1));
    kv_cache<double, test_backend> cache(backend, lm.config, 1, 20);
    auto steps = to_host(lm.prefill(prompt, cache, method));
    for (token_id id : {small_tokens(4, 2)[0], small_tokens(4, 2)[1], small_tokens(4, 2)[2]})
      for (double v : to_host(decode(lm, {{0, id}}, cache, method))) steps.push_back(v);
    CHECK(difference(steps, to_host(lm(run, one, method))) < 1e-12);
  }
}

TEST_CASE("parameters are counted as published", "[peft]") {
  STATIC_REQUIRE(iapt_parameter_count(32, 4096, 320, 4) == 83'927'424);
  STATIC_REQUIRE(iapt_parameter_count(32, 4096, 320, 4, 1, true) == 84'451'712);
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  for (const index_t shared_by : {1, 2, 3})
    for (const prompt_start start : {prompt_start::text, prompt_start::random}) {
      auto method = moved<hidden_generator<double, test_backend>>(
          lm, {.soft_tokens = 3, .bottleneck = 5, .start = start, .layers_per_projection = shared_by});
      CHECK(parameter_count(method.parameters()) ==
            iapt_parameter_count(3, 24, 5, 3, shared_by, start == prompt_start::text));
    }
}

TEST_CASE("layers that share a projection have one, whose gradient is of all of them", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved<hidden_generator<double, test_backend>>(
      lm, {.soft_tokens = 3, .bottleneck = 5, .layers_per_projection = 2});
  CHECK(method.generators[0].down.data() == method.generators[1].down.data());
  CHECK(method.generators[0].output.up.data() == method.generators[1].output.up.data());
  CHECK(method.generators[0].down.data() != method.generators[2].down.data());
}

TEST_CASE("soft tokens that start as a text have unit rows, of the tokens that are asked for", "[peft]") {
  test_backend backend = with_threads(1);
  const auto rows = to_host(unit_rows<double>(from_host(backend, extents<2>{2, 2}, std::vector<double>{3, 1, 0, 0})));
  CHECK(difference(rows, {3 / std::sqrt(5.0), 1 / std::sqrt(5.0), 0, 0}) < 1e-15);

  const auto lm = small_model(backend);
  const auto make = [&](prompt_start start, index_t tokens) {
    make_iapt<hidden_generator<double, test_backend>>(
        lm, {.soft_tokens = 3, .bottleneck = 1, .start = start, .start_text = small_tokens(tokens, 4)});
  };
  CHECK_NOTHROW(make(prompt_start::text, 3));
  CHECK_THROWS_AS(make(prompt_start::text, 2), shape_error);
  CHECK_NOTHROW(make(prompt_start::last, 4));
  CHECK(message_of<shape_error>([&] { make(prompt_start::last, 3); }).find("needs 4 tokens") != std::string::npos);
}

TEST_CASE("how long an instruction must be", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto shortest = [&]<class Pooler>(std::type_identity<Pooler>) {
    return moved<prompt_generator<double, test_backend, Pooler>>(lm, {.soft_tokens = 3, .bottleneck = 4})
        .shortest_instruction();
  };
  CHECK(shortest(std::type_identity<self_attention_pooler<double, test_backend>>()) == 1);
  CHECK(shortest(std::type_identity<mean_pooler<double, test_backend>>()) == 1);
  CHECK(shortest(std::type_identity<max_pooler<double, test_backend>>()) == 1);
  CHECK(shortest(std::type_identity<first_pooler<double, test_backend>>()) == 3);  // a row for each soft token
  CHECK(shortest(std::type_identity<last_pooler<double, test_backend>>()) == 3);
}

TEST_CASE("instructions that are too short are refused", "[peft]") {
  test_backend backend = with_threads(1);
  const auto lm = small_model(backend);
  const auto method = moved<key_value_generator<double, test_backend>>(
      lm, {.soft_tokens = 3, .bottleneck = 4, .where = placement::late});
  packed_batch batch;
  batch.add(small_tokens(1, 1), small_tokens(2, 2));
  inference<test_backend> run(backend);
  CHECK_THROWS_AS(lm(run, batch, method), shape_error);
}

}  // namespace iapt::test::peft_iapt_method
