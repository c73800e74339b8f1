// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/train/progress.hpp"

#include "support/catch.hpp"

namespace iapt::test::train_progress {
namespace {
progress_state at(index_t step) {
  return {.step = step, .steps = 100, .loss = 0.53219, .dev_loss = {}, .tokens_per_second = 185.7, .seconds_left = 83};
}
}  // namespace

TEST_CASE("away from a terminal there is a plain line now and then", "[train]") {
  std::ostringstream out;
  double now = 0;
  progress_bar bar(out, {}, 10, [&] { return now; });
  for (index_t step = 1; step <= 100; ++step, now += 0.25) bar.show(at(step));
  std::istringstream lines(out.str());
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) found.push_back(line);
  REQUIRE(found.size() == 4);  // steps 1, 41, 81 and the last
  CHECK(found[0] == "step 1/100  loss 0.5322  186 tokens/s  1:23 left");
  CHECK(found[1].substr(0, 7) == "step 41");
  CHECK(found[3].substr(0, 8) == "step 100");
  CHECK(out.str().find('\r') == std::string::npos);
  CHECK(out.str().find('\x1b') == std::string::npos);
}

TEST_CASE("on a terminal the line is drawn again in place and fits", "[train]") {
  std::ostringstream out;
  double now = 0;
  int columns = 90;
  progress_bar bar(out, progress_bar::terminal{[&] { return columns; }}, 10, [&] { return now; });
  auto state = at(50);
  state.dev_loss = 0.6111;
  bar.show(state);
  const std::string drawn = out.str();
  CHECK(drawn.find("[===============               ] 50/100  loss 0.5322  dev 0.6111") != std::string::npos);
  CHECK(drawn.front() == '\r');
  CHECK(drawn.find('\n') == std::string::npos);
  now += 0.01;
  bar.show(at(51));
  CHECK(out.str() == drawn);  // too soon
  for (int width : {70, 54, 40, 10, 1}) {
    columns = width, now += 1, out.str("");
    bar.show(at(52));
    CHECK(out.str().size() <= std::size_t(width - 1) + 4);  // "\r" and "\x1b[K"
    if (width >= 54) CHECK(out.str().find("52/100  loss 0.5322  186 tokens/s  1:23 left") != std::string::npos);
  }
  columns = 90, out.str("");
  bar.say("dev loss 0.5");
  CHECK(out.str() == "\r\x1b[Kdev loss 0.5\n");
}

TEST_CASE("times read like a clock's", "[train]") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(59.6) == "1:00");
  CHECK(clock_text(3723) == "1:02:03");
  CHECK(clock_text(-1) == "?");
  CHECK(clock_text(1e300) == "?");
}

}  // namespace iapt::test::train_progress
