// SPDX-License-Identifier: Apache-2.0
// Replaces an adapter's folder by copies of others, in turn, without end: replace_folder TARGET FOLDER...
#include <exception>
#include <iostream>
#include <span>

#include "iapt/io/adapter.hpp"

int main(int count, char** arguments) try {
  for (int i = 0;; ++i) {
    const std::filesystem::path from = arguments[2 + i % (count - 2)];
    iapt::atomic_folder folder(arguments[1], iapt::adapter_files);
    for (const auto& entry : std::filesystem::directory_iterator(from))
      std::filesystem::copy_file(entry.path(), folder.partial() / entry.path().filename());
    folder.commit();
  }
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
