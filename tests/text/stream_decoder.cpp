// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/text/stream_decoder.hpp"

#include <string>
#include <vector>

#include "text/reference.hpp"

namespace iapt::test::text_stream_decoder {

TEST_CASE("streamed pieces are whole characters and add up to the decoded text", "[text]") {
  const tokenizer words = small_tokenizer();
  for (const bool skip : {false, true}) {
    stream_decoder stream(words, skip);
    for (const auto& c : token_cases()["decode"]) {
      const auto ids = c["ids"].get<std::vector<token_id>>();
      std::string all;
      for (const token_id id : ids) {
        const std::string piece = stream.next(id);
        CHECK(utf8::find_invalid(piece) == std::string::npos);
        all += piece;
      }
      CHECK(all + stream.finish() == words.decode(ids, skip));
    }
  }
}

TEST_CASE("a character waits for its last byte", "[text]") {
  const tokenizer words = small_tokenizer();
  const auto ids = words.encode("\U0001F600");
  REQUIRE(ids.size() == 4);
  stream_decoder stream(words);
  CHECK(stream.next(ids[0]).empty());
  CHECK(stream.next(ids[1]).empty());
  CHECK(stream.next(ids[2]).empty());
  CHECK(stream.next(ids[3]) == "\U0001F600");
  CHECK(stream.finish().empty());
  CHECK(stream.next(ids[0]).empty());
  CHECK(stream.finish() == utf8::replacement);
}

}  // namespace iapt::test::text_stream_decoder
