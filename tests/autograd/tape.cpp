// SPDX-License-Identifier: Apache-2.0
// Backends: eigen, thrust_omp, cuda, cuda_simulated
#include "iapt/autograd/tape.hpp"

#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/matmul.hpp"
#include "iapt/ops/reduce.hpp"
#include "iapt/ops/rms_norm.hpp"
#include "iapt/ops/rope.hpp"
#include "support/check.hpp"

namespace iapt::test::autograd_tape {

TEST_CASE("one statement is one entry, and a statement of constants is none", "[autograd]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = upload_as<float>(backend, random({3, 4}));
  const auto b = tracked<float>(backend, random({4}, 2));
  const auto c = t(silu(x) * x + 2);
  CHECK(t.size() == 0);
  CHECK_FALSE(c.tracked());
  CHECK(t(x).data() == x.data());
  const auto y = t(silu(c + b) * x - b);
  CHECK(t.size() == 1);
  CHECK(y.tracked());
  t(sum(y * y));  // the sum's operand is a statement of its own
  CHECK(t.size() == 3);
}

TEST_CASE("inference gives the same bits and records nothing", "[autograd]") {
  test_backend backend = with_threads(2);
  const auto x = tracked<float>(backend, random({40, 33}));
  const auto w = tracked<float>(backend, random({33}, 2));
  const inference<test_backend> run(backend);
  tape<test_backend> record(backend);
  const auto f = [&](auto& ctx) { return ctx(silu(rms_norm(x, w)) * x); };
  CHECK(values_of(f(run)) == values_of(f(record)));
  CHECK_FALSE(f(run).tracked());
  STATIC_REQUIRE_FALSE(inference<test_backend>::records);
  STATIC_REQUIRE(tape<test_backend>::records);
}

TEST_CASE("two statements at once are two statements", "[autograd]") {
  test_backend backend = with_threads(2);
  using matrix = tensor<float, 2, test_backend>;
  using rope_by = operation<rope_op, matrix, matrix>;
  STATIC_REQUIRE(requires(rope_by a, rope_by b, const matrix& y) { a.forward(backend, y, b, y); });
  const auto angles = [&](index_t rows, index_t size) { return upload_as<float>(backend, random({rows, size}, 3)); };
  const auto compare = [&](auto first, auto second, const auto& x, const auto& y) {
    const inference<test_backend> run(backend);
    const auto a = run(first(x)), b = run(second(y));
    const auto [c, d] = run(first(x), second(y));
    CHECK(values_of(a) == values_of(c));
    CHECK(values_of(b) == values_of(d));
    const auto gradients = [&](bool at_once) {
      x.clear_gradient(), y.clear_gradient();
      tape<test_backend> t(backend);
      auto [c, d] = at_once ? t(first(x), second(y)) : std::pair(t(first(x)), t(second(y)));
      CHECK(t.size() == 2);
      t.backward(t(sum(c * c) + sum(d * d)));
      return std::pair(values_of(x.gradient()), values_of(y.gradient()));
    };
    CHECK(gradients(true) == gradients(false));
  };
  for (const index_t rows : {1, 70}) {
    CAPTURE(rows);
    const auto q = tracked<float>(backend, random({rows, 36})), k = tracked<float>(backend, random({rows, 12}, 2));
    const auto turned = [](const auto& cos_sin) { return [cos_sin](const auto& x) { return rope(x, cos_sin); }; };
    compare(turned(angles(rows, 12)), turned(angles(rows, 12)), q, k);
    compare(turned(angles(rows, 12)), turned(angles(rows, 6)), q, k);  // heads of other sizes
    const auto more = tracked<float>(backend, random({rows + 3, 24}, 4));
    compare(turned(angles(rows, 12)), turned(angles(rows + 3, 12)), q, more);
    compare(
        turned(angles(rows, 12)), [](const auto& x) { return silu(x) * x; }, q, k);  // of other kinds
  }
  const auto q = tracked<float>(backend, random({2, 8})), k = upload_as<float>(backend, random({2, 8}, 2));
  tape<test_backend> t(backend);
  const auto [c, d] = t(rope(q, angles(2, 4)), rope(k, angles(2, 4)));
  CHECK(t.size() == 1);
  CHECK(c.tracked());
  CHECK_FALSE(d.tracked());
  CHECK(message_of<shape_error>([&] { t(rope(q, angles(2, 6)), rope(k, angles(3, 4))); }) ==
        "rope: rows of (2, 8) with angles of (2, 6)");  // the first one's
  CHECK(message_of<shape_error>([&] { t(rope(q, angles(2, 4)), rope(k, angles(3, 4))); }) ==
        "rope: rows of (2, 8) with angles of (3, 4)");
  CHECK(t.size() == 1);
}

TEST_CASE("a frozen weight costs nothing", "[autograd]") {
  test_backend backend = with_threads(1);
  const index_t rows = 64, width = 1024;
  const std::size_t activation = rows * width * sizeof(float), weight = width * width * sizeof(float);
  const auto x = tracked<float>(backend, random({rows, width})),
             w = upload_as<float>(backend, random({width, width}, 2));
  {
    tape<test_backend> t(backend);
    const auto loss = t(sum(matmul(x + x, w)));  // no gradient reads x + x, or the product
    CHECK(backend.bytes_in_use() <= activation + weight + 1024);
    t.backward(loss);
    CHECK_FALSE(w.has_gradient());
  }
  CHECK(backend.bytes_in_use() <= 2 * activation + weight + 1024);  // x, its gradient, and the weight
  CHECK(backend.peak_bytes() < 2 * weight);                         // never a gradient of the weight
}

TEST_CASE("a frozen weight's product keeps no x, a trained one's does", "[autograd]") {
  const auto kept = [](bool trained) {
    test_backend backend = with_threads(1);
    const auto x = tracked<float>(backend, random({64, 256}));
    auto w = upload_as<float>(backend, random({256, 16}, 2));
    if (trained) w.track();
    tape<test_backend> t(backend);
    const std::size_t before = backend.bytes_in_use();
    const auto y = t(matmul(x + 1, w));
    return backend.bytes_in_use() - before - y.size() * sizeof(float);
  };
  CHECK(kept(false) == 0);
  CHECK(kept(true) == 64 * 256 * sizeof(float));
}

TEST_CASE("slices and reshaped handles share the adjoint, without an entry", "[autograd]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<double>(backend, host_array<2>({3, 2}, {1, 2, 3, 4, 5, 6}));
  const auto y = t(x * 10);
  const auto z =
      t(y.slice(1, 3) * y.slice(0, 2) + y.reshape(extents<2>{2, 3}).flat().slice(0, 4).reshape(extents<2>{2, 2}));
  CHECK(t.size() == 2);
  t.backward(z, filled<double>(backend, z.shape(), 1));
  CHECK(values_of(x.gradient()) == std::vector<double>{310, 410, 610, 810, 300, 400});
  const auto f = [](const auto& v) { return v.slice(1, 3) * v.slice(0, 2); };
  check_gradient(f, random({3, 4}));
}

TEST_CASE("a second contribution is added", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, numbers({1, 2, 3}));
  for (int pass = 1; pass <= 3; ++pass) {
    tape<test_backend> t(backend);
    const auto once = t(x * 2), twice = t(x * x);
    t.backward(t(sum(once + twice)));
    CHECK(values_of(x.gradient()) == std::vector<double>{pass * 4.0, pass * 6.0, pass * 8.0});
    CHECK(t.size() == 0);
  }
  x.clear_gradient();
  tape<test_backend> t(backend);
  t.backward(t(sum(x * 7)));
  CHECK(values_of(x.gradient()) == std::vector<double>{7, 7, 7});
}

TEST_CASE("backward from a leaf adds to what is there", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<double>(backend, numbers({1, 2}));
  tape<test_backend> t(backend);
  t.backward(x, upload_as<double>(backend, numbers({3, 4})));
  t.backward(x, upload_as<double>(backend, numbers({10, 20})));
  CHECK(values_of(x.gradient()) == std::vector<double>{13, 24});
}

TEST_CASE("a saved value that was overwritten is an error that names the operation", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<float>(backend, random({3, 4})), w = tracked<float>(backend, random({4, 5}, 2));
  const auto backward_after = [&](const auto& f, const auto& overwritten) {
    tape<test_backend> t(backend);
    const auto y = f(t);
    upload(overwritten, to_host(overwritten));
    return message_of<numeric_error>([&] { t.backward(y, y); });
  };
  CHECK(backward_after([&](auto& t) { return t(matmul(x, w)); }, x) ==
        "matmul: a value that its gradient reads was overwritten after it was used; run backward() before changing it");
  CHECK_THAT(backward_after([&](auto& t) { return t(silu(x)); }, x.slice(1, 2)), starts_with("silu: "));
  const auto frozen = w.detached();  // neither a sum nor a product with a constant reads x
  CHECK(backward_after([&](auto& t) { return t(matmul(x + 1, frozen)); }, x) == "nothing thrown");
}

TEST_CASE("recomputing notices that an input, or what it reads besides, was overwritten", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = tracked<float>(backend, random({3, 4})), w = tracked<float>(backend, random({4, 5}, 2));
  const auto layer = [w](auto& ctx, const auto& in) {
    const auto [h, twice] = ctx(matmul(in, w), matmul(in * 2, w));
    return ctx(silu(h) + twice);
  };
  const auto nested = [layer](auto& ctx, const auto& in) { return ctx(ctx.recompute(layer, in) * 3); };
  const auto backward_after = [&](const auto& f, const auto& overwrite) {
    x.clear_gradient(), w.clear_gradient();
    tape<test_backend> t(backend);
    const auto y = t.recompute(f, x);
    overwrite();
    return message_of<numeric_error>([&] { t.backward(t(sum(y))); });
  };
  const auto check = [&](const auto& f) {
    CHECK(backward_after(f, [] {}) == "nothing thrown");
    CHECK(x.has_gradient());
    for (const auto& overwritten : {x, w}) {
      CHECK(backward_after(f, [&] { upload(overwritten, to_host(overwritten)); }) ==
            "recompute: a value that it read was overwritten after it was used; run backward() before changing it");
      CHECK_FALSE(x.has_gradient());
    }
  };
  check(layer), check(nested);
}

TEST_CASE("asking for gradients wrongly", "[autograd]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto constant = upload_as<float>(backend, random({2, 3})), x = tracked<float>(backend, random({2, 3}));
  CHECK(message_of<numeric_error>([&] { t.backward(t(sum(constant))); }) ==
        "backward: the result depends on no tracked tensor, so it has no gradient");
  const auto y = t(x * 2);
  CHECK(message_of<shape_error>([&] {
          t.backward(y, upload_as<float>(backend, random({3, 2})));
        }) == "backward: adjoint of (3, 2) for a result of (2, 3)");
}

TEST_CASE("a branch that nobody asks for costs no backward", "[autograd]") {
  test_backend backend = with_threads(1);
  tape<test_backend> t(backend);
  const auto x = tracked<float>(backend, numbers({1, 2})), unused = tracked<float>(backend, numbers({3, 4}));
  t(unused * unused);
  t.backward(t(sum(x * x)));
  CHECK_FALSE(unused.has_gradient());
}

namespace {

/// Layers of a toy: norm, product, activation, residual; some of them frozen.
template <class Backend>
struct toy {
  std::vector<tensor<float, 2, Backend>> weights;
  tensor<float, 1, Backend> gain;

  toy(Backend& backend, int layers, index_t width) : gain(tracked<float>(backend, random({width}, 9))) {
    for (int l = 0; l < layers; ++l) weights.push_back(tracked<float>(backend, random({width, width}, 20 + l, 0.1)));
  }
  auto layer(auto& ctx, const auto& x, int l) const {
    const auto h = ctx(rms_norm(x, gain)), g = ctx(matmul(h, weights[l]));
    return ctx(silu(g) * h + x);
  }
  /// Gradients of everything, and the most memory that was in use.
  auto train(Backend& backend, const tensor<float, 2, Backend>& x, bool again) const {
    for (const auto& w : weights) w.clear_gradient();
    gain.clear_gradient();
    tape<Backend> t(backend);
    auto h = x;
    std::size_t held = 0;
    for (int l = 0; l < int(weights.size()); ++l) {
      const auto run = [this, l](auto& ctx, const auto& in) { return layer(ctx, in, l); };
      h = again ? t.recompute(run, h) : run(t, h);
      held = backend.bytes_in_use();
    }
    t.backward(t(sum(h * h)));
    std::vector<std::vector<double>> gradients{values_of(gain.gradient())};
    for (const auto& w : weights) gradients.push_back(values_of(w.gradient()));
    if (x.tracked()) gradients.push_back(values_of(x.gradient())), x.clear_gradient();
    return std::pair(gradients, held);
  }
};

}  // namespace

TEST_CASE("recomputed layers: the same gradients bit for bit, with less memory", "[autograd]") {
  for (bool wants_input : {false, true}) {
    const auto train = [&](bool again) {
      test_backend backend = with_threads(2);
      auto x = upload_as<float>(backend, random({50, 40}));
      if (wants_input) x.track();
      return toy<test_backend>(backend, 6, 40).train(backend, x, again);
    };
    const auto [plain, much] = train(false);
    const auto [again, little] = train(true);
    CHECK(plain == again);
    CHECK(much - little == 6 * 2 * 50 * 40 * sizeof(float));  // the norm's result and the product's, of each layer
  }
}

TEST_CASE("recomputing without effect on a gradient, or doing nothing", "[autograd]") {
  test_backend backend = with_threads(1);
  const auto x = upload_as<float>(backend, numbers({1, 2})), w = tracked<float>(backend, numbers({3, 4}));
  const auto frozen = [](auto& ctx, const auto& in) { return ctx(in * 2); };
  const auto nothing = [](auto&, const auto& in) { return in; };
  tape<test_backend> t(backend);
  const auto y = t(t.recompute(frozen, x) * w);  // a frozen layer below the first trained one
  const auto z = t.recompute(nothing, w);
  t.backward(t(sum(y + z * 10)));
  CHECK(values_of(w.gradient()) == std::vector<double>{12, 14});
}

TEST_CASE("steps of one size take no new memory", "[autograd]") {
  test_backend backend = with_threads(1);
  const toy<test_backend> model(backend, 3, 40);
  const auto x = upload_as<float>(backend, random({50, 40}));
  for (int step = 0; step < 2; ++step) model.train(backend, x, false);  // gradients of weights stay from the first on
  const std::size_t peak = backend.peak_bytes(), in_use = backend.bytes_in_use();
  for (int step = 0; step < 5; ++step) model.train(backend, x, false);
  CHECK(backend.peak_bytes() == peak);
  CHECK(backend.bytes_in_use() == in_use);
}

}  // namespace iapt::test::autograd_tape
