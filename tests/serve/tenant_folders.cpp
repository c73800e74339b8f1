// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/serve/tenant_folders.hpp"

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace iapt::test::serve_tenant_folders {
namespace {

using names = std::vector<std::string>;

/// A folder in which each of these is an adapter's, as far as a file's name tells.
struct adapters_in_folder : temporary_folder {
  explicit adapters_in_folder(const names& adapters) {
    for (const std::string& name : adapters) write(name + "/adapter_config.json", "{}");
  }
};

}  // namespace

TEST_CASE("tenants are the folders that hold an adapter, in order", "[serve]") {
  const adapters_in_folder folder({"b", "a", "run/best", "run/checkpoint", "c c", "other/nothing"});
  folder.write("file", "no folder");
  const tenant_folders tenants(folder.path());
  CHECK(tenants.names() == names{"a", "b", "c c", "run"});
  CHECK(tenants.find("run") == folder.path() / "run" / "best");
  CHECK_FALSE(tenants.find("file"));
  CHECK_THROWS_AS(tenant_folders(folder.path() / "nowhere"), io_error);
}

TEST_CASE("no name leads out of the folder", "[serve]") {
  const adapters_in_folder folder(
      {"secret", "tenants/a", "tenants/a/best", "tenants/.hidden", "tenants/a.partial", "tenants/a.old"});
  const tenant_folders tenants(folder.path() / "tenants");
  using namespace std::string_literals;
  for (const std::string& name :
       {""s, "."s, ".."s, "../secret"s, "a/best"s, "a/"s, "/"s, (folder.path() / "secret").string(), ".hidden"s,
        "a.partial"s, "a.old"s, "a\0b"s, "a\0"s, "..\\secret"s, "a\n"s, std::string(5000, 'x'), "\xFF"s}) {
    CAPTURE(name);
    CHECK_FALSE(tenants.find(name));
    CHECK_FALSE(tenants.look(name));
  }
  CHECK(tenants.names() == names{"a"});
}

TEST_CASE("another writing of an adapter is another state", "[serve]") {
  const adapters_in_folder folder({"a"});
  const tenant_folders tenants(folder.path());
  const auto first = tenants.look("a");
  REQUIRE(first);
  CHECK(tenants.look("a") == first);
  folder.write("a/adapter.safetensors", "x");
  const auto second = tenants.look("a");
  CHECK(second != first);
  folder.write("new", "y");
  std::filesystem::rename(folder.path() / "new", folder.path() / "a/adapter.safetensors");  // of the same length
  CHECK(tenants.look("a") != second);
  std::filesystem::remove_all(folder.path() / "a");
  CHECK_FALSE(tenants.look("a"));
}

}  // namespace iapt::test::serve_tenant_folders
