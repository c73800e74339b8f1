// SPDX-License-Identifier: Apache-2.0
// Python's text % values.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "iapt/jinja/format_spec.hpp"

namespace iapt::jinja::detail {

class percent_formatter {
 public:
  percent_formatter(runtime& rt, const marked_text& format, const value& values)
      : rt_(rt), format_(format), values_(values), out_(rt) {
    const list* l = values.as_list();
    if (l && l->is_tuple()) tuple_ = l;
  }
  value run() {
    const std::string& f = format_.bytes();
    for (std::size_t at = 0; at < f.size();) {
      const std::size_t percent = std::min(f.find('%', at), f.size());
      out_.append(format_, at, percent - at);
      at = percent + 1;
      if (percent < f.size()) read_field(f, at);
    }
    // Python does not ask for a field of what has subscripts.
    const list* l = values_.as_list();
    const bool may_be_left = values_.as_dict() || values_.is<undefined>() || (l && l->is_sequence());
    if (tuple_ ? used_ < tuple_->items().size() : used_ == 0 && !may_be_left)
      throw refusal("the format has fewer fields than there are values");
    return out_.finish();
  }

 private:
  const value& take() {
    if (tuple_ ? used_ >= tuple_->items().size() : used_ > 0)
      throw refusal("the format has more fields than there are values");
    return tuple_ ? tuple_->items()[used_++] : (++used_, values_);
  }
  void read_field(const std::string& f, std::size_t& at) {
    rt_.work();
    format_spec spec;
    const value* v = nullptr;
    if (f.compare(at, 1, "(") == 0) {
      const std::size_t close = f.find(')', at);
      const dict* d = values_.as_dict();
      if (close == f.npos || !d) throw refusal("a format with names needs a dict");
      v = d->find(std::string_view(f).substr(at + 1, close - at - 1));
      if (!v) throw refusal("the dict has no key " + f.substr(at + 1, close - at - 1) + " that the format names");
      at = close + 1;
      used_ = 1;
    }
    bool left = false;
    for (; at < f.size() && std::string_view("-+ 0#").find(f[at]) != std::string_view::npos; ++at) {
      left |= f[at] == '-';
      spec.zeros |= f[at] == '0';
      spec.alternate |= f[at] == '#';
      if (f[at] == '+' || (f[at] == ' ' && spec.sign == '-')) spec.sign = f[at];
    }
    if (const auto width = read_size(f, at)) spec.width = *width;
    if (f.compare(at, 1, ".") == 0) spec.precision = read_precision(f, ++at).value_or(0);
    if (at >= f.size()) throw refusal("the format ends inside of a field");
    spec.type = f[at++];
    if (spec.type == '%') return out_.append(format_, at - 1, 1);
    spec.align = left ? '<' : '>';
    spec.zeros &= !left;
    if (!v) v = &take();
    append(spec, *v);
  }
  void append(format_spec& spec, const value& v) {
    if (spec.type == 's') return append_as_text(rt_, out_, spec, *str(rt_, v).content);
    if (spec.type == 'r') {
      text_builder shown(rt_);
      append_repr(rt_, shown, v);
      return append_as_text(rt_, out_, spec, shown.take());
    }
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    if (spec.alternate || std::string_view("dxXoeEfFgG").find(spec.type) == std::string_view::npos ||
        (spec.precision && std::string_view("dxXo").find(spec.type) != std::string_view::npos))
      throw refusal(std::string("the format %") + (spec.alternate ? "#" : "") + spec.type + " is not supported here");
    const double* d = v.as<double>();
    append_typed(rt_, out_, spec, spec.type == 'd' && d ? value(to_int(*d)) : v);
  }

  runtime& rt_;
  const marked_text& format_;
  const value& values_;
  const list* tuple_ = nullptr;
  std::size_t used_ = 0;
  text_builder out_;
};
inline value percent_format(runtime& rt, const text& format, const value& values) {
  if (format.safe) throw refusal("% on a text that is marked as safe is not supported");
  return percent_formatter(rt, *format.content, values).run();
}

}  // namespace iapt::jinja::detail
