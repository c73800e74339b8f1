// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
// An answer has the tokens that it has in the whole conversation, where a tokenizer puts spaces before texts.
#include <string>
#include <utility>

#include "iapt/chat/chat_template.hpp"
#include "iapt/data/jsonl.hpp"
#include "text/sentencepiece.hpp"

namespace iapt::test::chat_sentencepiece {
namespace {

tokenizer words_of(const std::string& family) {
  auto spec = parse_tokenizer_json(sentencepiece_model::family(family).dump(), "t.json");
  spec.eos = 2;
  return tokenizer(std::move(spec));
}

}  // namespace

TEST_CASE("an answer of a conversation continues the prompt", "[chat]") {
  const std::string turns =
      "{% for m in messages %}{% if m.role == 'user' %}{{ '[the] ' + m.content + ' [/the]' }}{% else %}"
      "{{ ' ' + m.content + ' </s>' }}{% endif %}{% endfor %}";
  const std::string marks =
      "{% for m in messages %}{{ '<|' + ('user' if m.role == 'user' else 'end') + '|>' + m.content }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|end|>' }}{% else %}{{ '</s>' }}{% endif %}";
  for (const std::string family : {"llama", "mistral", "gemma"}) {
    const tokenizer words = words_of(family);
    for (const std::string& jinja : {turns, marks}) {
      INFO(family << ", " << jinja);
      const chat_template format(jinja, "test");
      const auto chat = conversation().add("user", "another mother").add("assistant", "the other");
      auto [ids, answer] = format.encode_answered(words, chat);
      ids.insert(ids.end(), answer.begin(), answer.end());
      auto whole = chat;
      whole.add_generation_prompt = false;
      CHECK(ids == format.encode(words, whole));
    }
  }
}

TEST_CASE("a completion continues its prompt", "[chat]") {
  for (const std::string family : {"llama", "mistral", "gemma"}) {
    INFO(family);
    const tokenizer words = words_of(family);
    const auto e = example_reader(words).read({{"prompt", "one"}, {"completion", " other"}});
    auto ids = e.instruction;
    ids.insert(ids.end(), e.response.begin(), e.response.end() - 1);
    CHECK(ids == words.encode("one other"));
  }
}

}  // namespace iapt::test::chat_sentencepiece
