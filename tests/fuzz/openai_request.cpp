// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the bodies of requests: any bytes are a request whose prompts are tokens, or an error of ours.
#include "iapt/serve/openai_request.hpp"
#include "data/byte_tokenizer.hpp"
#include "fuzz/mutate.hpp"
#include "fuzz/support.hpp"
#include "iapt/chat/chat_template.hpp"

namespace {

/// What a request asks of a model.
struct served_model {
  iapt::tokenizer words = iapt::test::byte_tokenizer();
  const iapt::tokenizer& tokenizer() const { return words; }
  iapt::chat_template chat() const { return {words.spec().chat_template, "fuzz.jinja"}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace iapt;
  static const served_model model;
  for (const bool chat : {false, true}) {
    try {  // each error has a body to answer with
      const auto request = openai_request::parse(fuzz::text_of(data, size), chat);
      request.options.check();
      if (request.answers() > 0) (void)request.options_of(request.answers() - 1);
      (void)request.encode(model);
      ++fuzz::last_outcome.read;
    } catch (const openai_error& failure) { fuzz::last_outcome.refusal = failure.body(); }
  }
  return 0;
}
IAPT_FUZZ_MUTATE(iapt::fuzz::mutate_json);
