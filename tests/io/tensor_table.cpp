// SPDX-License-Identifier: Apache-2.0
// Backends: eigen
#include "iapt/io/tensor_table.hpp"

#include "support/catch.hpp"

namespace iapt::test::io_tensor_table {

TEST_CASE("a tensor table keeps order and finds names", "[io]") {
  tensor_table table;
  CHECK(table.nearest("a").empty());
  CHECK(table.add({.name = "blk.1.b", .shape = {2}}));
  CHECK(table.add({.name = "blk.0.a", .shape = {3}}));
  CHECK_FALSE(table.add({.name = "blk.1.b", .shape = {4}}));
  CHECK(table.all().size() == 2);
  CHECK(table.all()[0].name == "blk.1.b");
  REQUIRE(table.find("blk.1.b"));
  CHECK(table.find("blk.1.b")->rows() == 2);
  CHECK_FALSE(table.find("blk.1"));
  CHECK(table.nearest("blk.0.x") == "blk.0.a");
  CHECK(table.nearest("blk.1.a") == "blk.1.b");
  CHECK(table.nearest("zzz") == "blk.1.b");
}

}  // namespace iapt::test::io_tensor_table
