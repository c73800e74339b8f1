// SPDX-License-Identifier: Apache-2.0
// The exceptions that this library throws.
#pragma once
#include <stdexcept>

namespace iapt {

/// Base of all exceptions of the library. A message says which operation failed, on what, and what to do.
struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Extents that do not fit together; the message has both shapes.
struct shape_error : error {
  using error::error;
};
/// A device that is missing, busy or out of memory.
struct device_error : error {
  using error::error;
};
/// A file that cannot be read, written or understood; the message has its path and the byte offset or line.
struct io_error : error {
  using error::error;
};
/// A value that is not finite where it must be, or an invalid request for a gradient.
struct numeric_error : error {
  using error::error;
};

}  // namespace iapt
