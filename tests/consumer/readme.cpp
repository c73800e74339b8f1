// SPDX-License-Identifier: Apache-2.0
// The program of README.md, word for word (the test `files` compares them): it must compile and link.
#include <iapt/iapt.hpp>
using namespace iapt;

int main() {
  eigen_backend backend{{.threads = 2}};
  auto lm = load_causal_lm<float>("SmolLM2-135M-Instruct.Q4_1.gguf", backend);
  auto method = make_iapt<key_value_generator<float, eigen_backend>>(
      lm, {.soft_tokens = 4, .bottleneck = 64, .start_text = lm.tokenizer().encode("Read the request and answer it.")});
  auto data = load_jsonl("train.jsonl", lm.tokenizer());

  adamw optimizer(method.parameters(), {.learning_rate = 2.5e-3});
  shuffled_batches batches(data.examples, {.size = 8, .epochs = 2, .seed = 0});
  for (const packed_batch& batch : batches) {
    tape t(backend);                     // forgets everything at the end of the scope
    auto logits = lm(t, batch, method);  // response rows only
    auto loss = t(cross_entropy(logits, row_indices(backend, batch.targets)));
    t.backward(loss);
    optimizer.step();
  }
  save_adapter(method, lm, "sql.adapter");
}
