// SPDX-License-Identifier: Apache-2.0
// Unicode's composed form (NFC), equal to that of Hugging Face's tokenizers.
#pragma once
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iapt/text/utf8.hpp"

namespace iapt {

/// Ranges of characters that do not change: no mark moves past them and nothing composes with them. Hugging Face's
/// `tokenizers` 0.23 uses the tables of Unicode 9. So these are, of the characters that Unicode 10 to 18 added, the
/// combining marks, those with a decomposition, and the first characters of these decompositions. U+11A7 is here
/// because utf8proc 2.8 treats it as a final consonant of a Hangul syllable. tests/reference/make_nfc.py computes the
/// ranges.
// clang-format off
inline constexpr std::array<std::array<char32_t, 2>, 70> nfc_barriers = {{
    {0x5C8, 0x5C9}, {0x7FD, 0x7FD}, {0x897, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C},
    {0xEBA, 0xEBA}, {0x11A7, 0x11A7}, {0x1715, 0x1715}, {0x1ABF, 0x1AF0}, {0x1DF6, 0x1DFA}, {0xA82C, 0xA82C},
    {0x105C9, 0x105C9}, {0x105D2, 0x105D2}, {0x105DA, 0x105DA}, {0x105E4, 0x105E4}, {0x10D24, 0x10D27},
    {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10ECB, 0x10ECF}, {0x10EF0, 0x10EFB}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x11382, 0x11385},
    {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x11391}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5},
    {0x113C7, 0x113C8}, {0x113CE, 0x113D0}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11935, 0x11935},
    {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
    {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97},
    {0x11F41, 0x11F42}, {0x1611E, 0x1611E}, {0x16121, 0x16129}, {0x1612F, 0x1612F}, {0x16D63, 0x16D63},
    {0x16D67, 0x16D6A}, {0x16FF0, 0x16FF1}, {0x1D127, 0x1D128}, {0x1D250, 0x1D252}, {0x1D25B, 0x1D25C},
    {0x1D25F, 0x1D25F}, {0x1D280, 0x1D281}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6},
    {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5},
}};
// clang-format on

/// Converts one text to NFC; use it through `to_nfc`.
class nfc_composer {
 public:
  /// `text` (valid UTF-8) in NFC.
  std::string compose(std::string_view text) {
    out_.reserve(text.size());
    while (!text.empty()) {
      // Characters below U+0300 do not change, except the last one: a mark may follow it.
      auto low = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_high) - text.begin());
      if (low < text.size()) low = utf8::last_begin(text.substr(0, low));
      out_ += text.substr(0, low);
      text.remove_prefix(low);
      text.remove_prefix(compose_run(text));
    }
    return std::move(out_);
  }

 private:
  // The first byte of a character from U+0300 on. Lower ones have no combining class and compose with none before them.
  static bool is_high(char byte) { return static_cast<unsigned char>(byte) >= 0xCC; }

  // Composes the first character of `text` and those after it that are not below U+0300. Returns their number of bytes.
  std::size_t compose_run(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size() && (at == 0 || is_high(text[at]))) {
      const utf8::step s = utf8::next(text.substr(at));
      if (is_barrier(s.code_point)) {
        flush();
        utf8::append(out_, s.code_point);
      } else {
        decompose(s.code_point);
      }
      at += s.size;
    }
    flush();
    return at;
  }

  static bool is_barrier(char32_t c) {
    const auto range =
        std::partition_point(nfc_barriers.begin(), nfc_barriers.end(), [&](const auto& r) { return r[1] < c; });
    return range != nfc_barriers.end() && (*range)[0] <= c;
  }

  void decompose(char32_t c) {
    std::array<utf8proc_int32_t, 4> parts;  // no canonical decomposition is longer
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
                                               UTF8PROC_DECOMPOSE, nullptr);
    run_.insert(run_.end(), parts.begin(), parts.begin() + count);
  }

  // Sorts the marks after each letter, then composes.
  void flush() {
    // It is a sort, so that a run of any length takes n log n time.
    const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
    const auto is_mark = [&](utf8proc_int32_t c) { return combining_class(c) != 0; };
    for (auto mark = run_.begin(); (mark = std::find_if(mark, run_.end(), is_mark)) != run_.end();) {
      const auto end = std::find_if_not(mark, run_.end(), is_mark);
      std::stable_sort(mark, end, [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
      mark = end;
    }
    // STABLE: characters that the standard excludes from composition stay decomposed.
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    run_.resize(static_cast<std::size_t>(
        utf8proc_normalize_utf32(run_.data(), static_cast<utf8proc_ssize_t>(run_.size()), options)));
    for (const utf8proc_int32_t c : run_) utf8::append(out_, static_cast<char32_t>(c));
    run_.clear();
  }

  std::string out_;
  std::vector<utf8proc_int32_t> run_;
};

/// `text` (valid UTF-8) in Unicode's composed form, equal to the result of Hugging Face's `NFC` normalizer.
/// @par Source Unicode Standard Annex 15, "Unicode Normalization Forms"
inline std::string to_nfc(std::string_view text) { return nfc_composer().compose(text); }

}  // namespace iapt
