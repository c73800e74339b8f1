// SPDX-License-Identifier: Apache-2.0
// A server that runs for a test, asked by curl.
#pragma once
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/model.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test {

using json = nlohmann::json;

/// An answer of HTTP.
struct reply {
  int status;
  std::string head, body;
  json object() const { return json::parse(body, nullptr, false); }
  /// The parameter that an error names.
  json param() const { return object()["error"]["param"]; }
};

/// A server that runs, on a port of its own.
class running_server {
 public:
  running_server(const std::string& program, const std::string& arguments) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1), ::close(ends[0]), ::close(ends[1]);
      ::execl("/bin/sh", "sh", "-c", ("exec " + word(program) + " --port 0 --threads 1 " + arguments).c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    std::string line;
    for (char c; ::read(ends[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(ends[0]);
    CAPTURE(line);
    REQUIRE(line.find("http://") != std::string::npos);
    url_ = line.substr(line.find("http://"));
  }
  ~running_server() { kill(); }
  /// Ends it as it is, so that nobody waits for an answer.
  void kill() {
    if (child_ > 0) ::kill(child_, SIGKILL), ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  /// Host and port.
  std::string address() const { return url_.substr(url_.find("//") + 2); }
  /// The port.
  int port() const { return std::stoi(url_.substr(url_.rfind(':') + 1)); }
  /// Asks it to end.
  void terminate() const { ::kill(child_, SIGTERM); }
  /// Its exit status, once it has ended.
  int wait() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  /// What it says to a request. A body makes it a POST.
  reply ask(const std::string& path, const std::string& body = "", const std::string& more = "") const {
    const temporary_folder folder;
    const std::string data = body.empty() ? "" : " --data-binary @" + word(folder.write("body", body));
    const outcome found = shell("curl -sSi -H Expect: " + more + data + " " + url_ + path);
    const std::size_t begin = found.text.find("HTTP/1.1 "), end = found.text.find("\r\n\r\n");
    if (begin == std::string::npos || end == std::string::npos) return {0, "", found.text};
    return {std::stoi(found.text.substr(begin + 9, 3)), found.text.substr(begin, end - begin),
            found.text.substr(end + 4)};
  }
  /// One number of its metrics.
  double metric(const std::string& name) const {
    const std::string page = "\n" + ask("/metrics").body;
    const std::size_t at = page.find("\niapt_" + name + " ");
    return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size() + 7));
  }
  /// Waits until one of them has a value.
  bool reaches(const std::string& name, double value) const {
    for (int i = 0; i < 600; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(50)))
      if (metric(name) == value) return true;
    return false;
  }

 private:
  ::pid_t child_ = -1;
  std::string url_;
};

inline const std::string bare_model = "SmolLM2-135M-Instruct.Q4_1";
/// A greedy completion's body.
inline std::string completion(const std::string& model, int tokens, const std::string& more = "") {
  return R"({"model": ")" + model + R"(", "prompt": "The capital of France is", "temperature": 0, "max_tokens": )" +
         std::to_string(tokens) + more + "}";
}
/// One that hardly comes to an end by itself: any token is as likely as another.
inline std::string endless(int tokens, const std::string& more = "") {
  return R"({"model": ")" + bare_model + R"(", "prompt": "Hi", "temperature": 1000, "seed": 1, "max_tokens": )" +
         std::to_string(tokens) + more + "}";
}

/// The objects of a stream, which must end as it should.
inline std::vector<json> events(const std::string& body) {
  std::vector<json> found;
  CHECK_THAT(body, ends_with("data: [DONE]\n\n"));
  for (std::size_t at = 0, end; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2)
    if (const std::string data = body.substr(at + 6, end - at - 6); data != "[DONE]")
      found.push_back(json::parse(data));
  return found;
}

/// Program and model, or nothing where the test is skipped.
struct server_parts {
  std::optional<std::string> program = require_program("serve"), model = require_model();
  explicit operator bool() const { return program && model; }
  std::string arguments(const std::filesystem::path& adapters) const {
    return "--model " + word(*model) + " --adapters " + word(adapters);
  }
};

}  // namespace iapt::test
