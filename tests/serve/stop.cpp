// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/stop.hpp"

#include "iapt/core/random.hpp"
#include "iapt/text/stream_decoder.hpp"
#include "support/check.hpp"
#include "text/reference.hpp"

namespace iapt::test::serve_stop {

namespace {

using texts = std::vector<std::string>;

/// What is shown after each piece, and at the end; "|" in front where a stop string was met.
texts shown(const texts& stops, const texts& pieces) {
  stop_matcher matcher(stops);
  texts found;
  for (const std::string& piece : pieces) {
    found.push_back(matcher.next(piece));
    if (matcher.stopped()) found.back() += "|";
  }
  found.push_back(matcher.finish());
  return found;
}

/// The definition, for a whole text: where it ends, and whether by a stop string.
std::pair<std::string, bool> by_definition(const texts& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops)
      if (std::string_view(text).substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    if (longest) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

}  // namespace

TEST_CASE("text passes at once unless a stop string may have begun", "[serve]") {
  CHECK(shown({}, {"ab", "c"}) == texts{"ab", "c", ""});
  CHECK(shown({"STOP"}, {"go on, ", "ST", "AY, S"}) == texts{"go on, ", "", "STAY, ", "S"});
  CHECK(shown({"STOP"}, {"no STOP here", " or there"}) == texts{"no |", "|", ""});
  CHECK(shown({"STOP"}, {"a S", "T", "O", "P"}) == texts{"a ", "", "", "|", ""});
  CHECK(shown({"\n\n"}, {"one\n", "two\n", "\n"}) == texts{"one", "\ntwo", "|", ""});
  CHECK(shown({"a"}, {"", "a"}) == texts{"", "|", ""});
}

TEST_CASE("a stop string that begins within a failed one is found", "[serve]") {
  CHECK(shown({"aab"}, {"a", "a", "a", "b"}) == texts{"", "", "a", "|", ""});
  CHECK(shown({"abac"}, {"aba", "bac"}) == texts{"", "ab|", ""});
  CHECK(shown({"abcabd"}, {"abcabcab", "x"}) == texts{"abc", "abcabx", ""});
  CHECK(shown({"aaaa"}, {"aaa", "baaa"}) == texts{"", "aaab", "aaa"});
}

TEST_CASE("of several stop strings the first that is complete counts, of these the longest", "[serve]") {
  CHECK(shown({"abcd", "bc"}, {"xabcd"}) == texts{"xa|", ""});
  CHECK(shown({"bc", "abc"}, {"xabcd"}) == texts{"x|", ""});
  CHECK(shown({"abc", "bc"}, {"xab", "cd"}) == texts{"x", "|", ""});
  CHECK(shown({"abcd", "bx"}, {"ab", "x"}) == texts{"", "a|", ""});
  CHECK(shown({"abcd", "cde"}, {"abc", "e", "cde"}) == texts{"", "abce", "|", ""});
  CHECK(shown({"x", "x"}, {"yx"}) == texts{"y|", ""});
}

TEST_CASE("a stop string of several bytes a character is held by whole characters", "[serve]") {
  CHECK(shown({"é"}, {"caf", "è", "é"}) == texts{"caf", "è", "|", ""});  // one byte differs, the lead is the same
  CHECK(shown({"日本"}, {"今日", "は日", "本"}) == texts{"今", "日は", "|", ""});
  CHECK(shown({"\U0001F600!"}, {"\U0001F600", "\U0001F601"}) == texts{"", "\U0001F600\U0001F601", ""});
}

TEST_CASE("tokens: a stop string across them, and characters in parts", "[serve]") {
  const tokenizer words = small_tokenizer();
  const auto stream = [&](const texts& stops, const std::string& text) {
    stream_decoder decoder(words);
    stop_matcher matcher(stops);
    std::string all;
    for (const token_id id : words.encode(text)) {
      const std::string piece = matcher.next(decoder.next(id));
      CHECK(utf8::find_invalid(piece) == std::string::npos);
      all += piece;
    }
    all += matcher.next(decoder.finish());
    if (matcher.stopped()) all += "|";
    return all + matcher.finish();
  };
  CHECK(words.encode("a\U0001F600b").size() > 3);
  CHECK(stream({"\U0001F600b"}, "a\U0001F600b and more") == "a|");
  CHECK(stream({"\U0001F600b"}, "a\U0001F600") == "a\U0001F600");
  CHECK(stream({"e an"}, "one and more") == "on|");
}

TEST_CASE("how a text is cut into pieces changes nothing", "[serve]") {
  random_stream random(8);
  const auto draw = [&](std::size_t size) {
    std::string text(size, 'a');
    for (char& c : text) c = char('a' + random.below(2));
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    texts stops;
    for (std::uint64_t n = random.below(4); n > 0; --n) stops.push_back(draw(1 + random.below(7)));
    const std::string text = draw(30);
    stop_matcher matcher(stops);
    std::string all;
    bool stopped = false;
    for (std::size_t from = 0, size; from < text.size(); from += size) {
      size = std::min<std::size_t>(1 + random.below(6), text.size() - from);
      all += matcher.next(std::string_view(text).substr(from, size));
      stopped = matcher.stopped();
      std::size_t held = 0;  // no more than what may still become a stop string
      const std::string read = text.substr(0, from + size);
      for (const std::string& stop : stops)
        for (std::size_t k = 1; k < stop.size(); ++k)
          if (read.ends_with(stop.substr(0, k))) held = std::max(held, k);
      if (!stopped) CHECK(all.size() == read.size() - held);
    }
    all += matcher.finish();
    CAPTURE(stops, text);
    CHECK(std::pair(all, stopped) == by_definition(stops, text));
  }
}

TEST_CASE("a matcher begins anew, and refuses what would end everything or nothing", "[serve]") {
  stop_matcher matcher({"ab"});
  CHECK(matcher.next("xa") == "x");
  CHECK(matcher.finish() == "a");
  CHECK(matcher.next("b") == "b");
  CHECK(matcher.next("ab").empty());
  CHECK(matcher.stopped());
  CHECK(matcher.finish().empty());
  CHECK_FALSE(matcher.stopped());
  CHECK(matcher.next("c") == "c");
  CHECK(message_of<error>([] {
          stop_matcher({"a", ""});
        }) == "stop: a stop string must not be empty: it would end every text at once");
  CHECK_THAT(message_of<io_error>([] { stop_matcher({"\xC3"}); }), starts_with("stop: a stop string: byte 0 (0xC3)"));
}

}  // namespace iapt::test::serve_stop
