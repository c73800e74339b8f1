# SPDX-License-Identifier: Apache-2.0
# What doxygen reads of a header (docs/Doxyfile). The comment at its head describes the file: its first line becomes
# @file, the next ones its text. Members that all types of a kind have are described here, once.
1,/^#pragma/{
  s|^// SPDX.*|/// @file|
  s|^// |/// |
}
s|^( *using value_type = [^;]*;)$|\1  ///< type of an element|
s|^( *static constexpr auto name = [^;]*;)$|\1  ///< name, for messages|
s|^( *static constexpr (int\|auto) rank = [^;]*;)$|\1  ///< number of extents|
s|^( *IAPT_DEVICE friend (native\|fixed)_vec .*)$|/// Elementwise.\n\1|
