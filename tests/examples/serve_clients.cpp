// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// The server's clients: keys, what one of them may have, what they hear of adapters, and prompts that are told again.
#include "support/running_server.hpp"

namespace iapt::test::examples_serve_clients {

TEST_CASE("serve: a prompt told again, with how likely it was", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  const running_server server(*given.program, given.arguments(folder.path()));
  const auto ask = [&](int tokens, const std::string& more) {
    return server.ask("/v1/completions", completion(bare_model, tokens, more));
  };
  const json whole = ask(4, R"(, "logprobs": 1)").object()["choices"][0];
  const json echoed = ask(4, R"(, "logprobs": 1, "echo": true)").object()["choices"][0];
  CHECK(echoed["text"] == "The capital of France is" + whole["text"].get<std::string>());
  const auto part = [&](const char* name, std::size_t from, std::size_t to) {
    const json list = echoed["logprobs"][name];
    return std::vector<json>(list.begin() + std::ptrdiff_t(from), list.begin() + std::ptrdiff_t(to));
  };
  CHECK(json(part("tokens", 0, 5)) == json({"The", " capital", " of", " France", " is"}));
  CHECK(json(part("tokens", 5, 9)) == whole["logprobs"]["tokens"]);
  CHECK(part("token_logprobs", 0, 1)[0].is_null());
  CHECK(part("top_logprobs", 0, 1)[0].is_null());
  // The prompt's own tokens are what a shorter prompt foretells.
  const json shorter = server
                           .ask("/v1/completions", R"({"model": ")" + bare_model +
                                                       R"(", "prompt": "The capital of France", "max_tokens": 1,
                                                          "temperature": 0, "logprobs": 20})")
                           .object()["choices"][0]["logprobs"]["top_logprobs"][0];
  CHECK(part("token_logprobs", 4, 5)[0].get<double>() == Approx(shorter[" is"].get<double>()).margin(1e-3));

  const json nothing_new = ask(0, R"(, "logprobs": 0, "echo": true)").object();
  CHECK(nothing_new["choices"][0]["text"] == "The capital of France is");
  CHECK(nothing_new["choices"][0]["finish_reason"] == "length");
  CHECK(nothing_new["choices"][0]["logprobs"]["token_logprobs"].size() == 5);
  CHECK(nothing_new["usage"]["completion_tokens"] == 0);
  std::string text;
  for (const json& piece : events(ask(4, R"(, "echo": true, "stream": true)").body))
    text += piece["choices"][0]["text"];
  CHECK(text == echoed["text"]);

  CHECK(ask(1, R"(, "logit_bias": {"7042": -100})").object()["choices"][0]["text"] != " Paris");
  CHECK(ask(1, R"(, "logit_bias": {"49152": 1})").param() == "logit_bias");
  CHECK_THAT(server.ask("/v1/completions", "{\"model\": }").body, has_text("line 1, column 11"));
}

TEST_CASE("serve: a key has a digest, bounds, and no word of the server's paths", "[examples][model]") {
  const server_parts given;
  if (!given) return;
  const temporary_folder folder;
  folder.write("adapters/broken/adapter_config.json", "{");
  const auto keys = folder.write(  // of "sesame", as sha256sum tells
      "keys.json", R"({"sha256:d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272": "*", "other": "*"})");
  const running_server server(*given.program, given.arguments(folder.path() / "adapters") +
                                                  " --max-running 4 --max-queue 4 --max-queue-per-key 1 --api-keys " +
                                                  word(keys));
  const auto ask = [&](const std::string& body, const std::string& authorization = "bearer sesame") {
    return server.ask("/v1/completions", body, "-H 'Authorization: " + authorization + "'");
  };
  CHECK(ask(completion(bare_model, 1)).status == 200);
  CHECK(ask(completion(bare_model, 1), "BEARER other").status == 200);
  CHECK(ask(completion(bare_model, 1), "Bearer sesam").status == 401);
  const reply broken = ask(completion("broken", 1));
  CHECK(broken.status == 422);
  CHECK_THAT(broken.body, has_text("the adapter cannot be used: broken/adapter_config.json: byte"));
  CHECK(broken.body.find(folder.path().string()) == std::string::npos);
  // Two places, half of four, and one that waits.
  CHECK(ask(completion(bare_model, 1, R"(, "n": 3)")).status == 200);
  CHECK(ask(completion(bare_model, 1, R"(, "n": 4)")).param() == "n");
  CHECK(ask(completion(bare_model, 1, R"(, "use_beam_search": true, "best_of": 3)")).param() == "best_of");
}

}  // namespace iapt::test::examples_serve_clients
