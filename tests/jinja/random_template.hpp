// SPDX-License-Identifier: Apache-2.0
// Random templates that do all kinds of things with the texts of tests/jinja/marked_text.cpp.
#pragma once
#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace iapt::test::random_template {

// Expressions with places for others: each $ is a text.
inline const std::vector<std::string> expressions = {
    "a",
    "b",
    "c",
    "e",
    "r",
    "l[0]",
    "l[-1]",
    "d['щ']",
    "d.Жы",
    "m[0].content",
    "m[1]['role']",
    "'x'",
    "'<|y|> '",
    "($) ~ ($)",
    "($) + ($)",
    "($) ~ 5 ~ ($) ~ none",
    "($) * 2",
    "($)[1:]",
    "($)[::-1]",
    "($)[0]",
    "($)[-2:]",
    "($)[:-1:2]",
    "($).upper()",
    "($).lower()",
    "($).title()",
    "($).capitalize()",
    "($).strip()",
    "($).lstrip('Жx')",
    "($).rstrip($)",
    "($).split()|join($)",
    "($).split($)[-1]",
    "($).split(',')|join('-')",
    "($).rsplit(none, 1)|first",
    "($).splitlines()|join('|')",
    "($).partition($)|join('.')",
    "($).rpartition(',')[2]",
    "($).replace($, $)",
    "($).replace('', $)",
    "($).join(l)",
    "($).join([$, $])",
    "($).ljust(9, '†')",
    "($).center(12)",
    "($).rjust(9, ($)[0])",
    "($).removeprefix('Ж')",
    "($).removesuffix($)",
    "'{}-{:>9}-{!r}'.format($, $, $)",
    "'{x:†^9}'.format(x=$)",
    "($).format($)",
    "'%s %r %-8s' % ($, $, $)",
    "'%(k)s' % {'k': $}",
    "($) % ()",
    "($)|upper",
    "($)|lower",
    "($)|title",
    "($)|capitalize",
    "($)|trim",
    "($)|trim($)",
    "($)|replace($, $)",
    "($)|indent(2, true)",
    "($)|indent($)",
    "($)|escape",
    "($)|safe",
    "(($)|safe) + ($)",
    "($)|tojson",
    "[$, $]|tojson(indent=1)",
    "{$: $}|tojson",
    "{$: $, 'k': [$]}|tojson(indent=$)",
    "[$]|tojson(separators=[$, $])",
    "{$: $}|tojson(sort_keys=true)",
    "($)|tojson|tojson",
    "[$, $]|string",
    "[[$], ($,)]|string",
    "{$: $}|string",
    "{'x': {'y': $}} ~ ''",
    "{$: 1}.items()|list ~ ''",
    "d.keys()|join",
    "d.values()|list|string",
    "d|items|map('first')|join",
    "d|dictsort|join('x')",
    "[$, $, $]|sort|join",
    "[$, $]|unique|join",
    "[$, $]|max",
    "[$, $]|min",
    "[$, $]|first",
    "[$, $]|last",
    "($)|first",
    "($)|last",
    "($)|list|join('.')",
    "($)|reverse",
    "[$, $]|reverse|join",
    "[$, $, $]|batch(2, $)|map('join', $)|join",
    "l|slice(2, $)|list|string",
    "m|map(attribute='content')|join($)",
    "m|groupby('role')|map('first')|join",
    "m|groupby('role')|string",
    "m|sort(attribute='content')|string",
    "[$, $]|map('upper')|join",
    "[$, $]|map('replace', $, $)|join",
    "[$, $]|select('ne', $)|join",
    "m|selectattr('role', 'ne', $)|list|tojson",
    "($) if ($) else ($)",
    "($) or ($)",
    "($) and ($)",
    "x|default($)",
    "($)|default($, true)",
    "[$]|sum(start=[$])|join",
    "($)|format($, $)",
    "dict(k=$)|tojson",
    "dict(**{$: $})|string",
    "namespace(k=$).k",
    "joiner($)() ~ ''",
    "cycler($, $).next()",
    "($)|center(20)",
    "($)|string|wordcount ~ ''",
    "strftime_now($)",
    "f($)",
    "f($, y=$)",
    "g(**{$: $})",
    "g(*[$, $])",
    "($)|attr('upper')()",
    "($) ~ loop",
    "[($)|safe]|join($)",
    "(($)|e)|upper",
};
inline const std::vector<std::string> statements = {
    "{{ $ }}",
    "{% for c in ($) %}{{ c }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle($, 'x') }}{% endfor %}",
    "{% set v %}[{{ $ }}]{% endset %}{{ v ~ $ }}",
    "{% set v | replace($, $) | upper %}-{{ $ }}{% endset %}{{ v[1:] }}",
    "{% filter indent(3) %}{{ $ }}\nx{% endfilter %}",
    "{% generation %}{{ $ }}y{% endgeneration %}{{ $ }}",
    "{% call g($) %}{{ $ }}{% endcall %}",
    "{% with v = $, w = [$, $] %}{{ v }}{{ w }}{% endwith %}",
    "{% set ns = namespace(t='') %}{% for x in m %}{% set ns.t = ns.t ~ x.role ~ $ %}{% endfor %}{{ ns.t }}",
    "{% for k, v in d.items() %}{{ k ~ v }}{% endfor %}",
    "{% for x in [$, [$, $]] recursive %}{% if x is string %}{{ x|lower }}{% else %}{{ loop(x) }}{% endif %}{% endfor "
    "%}",
    "{% for s, t in m|groupby('role') %}{{ s }}{{ t }}{% endfor %}",
};
inline const std::string macros =
    "{% macro f(x, y='-') %}<{{ x }}{{ y|upper }}>{% endmacro %}{% macro g() %}{{ varargs }}{{ kwargs }}{% if caller "
    "%}{{ caller() }}{% endif %}{% endmacro %}";

inline const std::string& one_of(const std::vector<std::string>& all, std::mt19937& random) {
  return all[random() % all.size()];
}

// A form whose places are filled with expressions, nested at most `depth` deep.
inline std::string filled(const std::string& form, int depth, std::mt19937& random) {
  std::string out;
  for (const char c : form)
    if (c == '$')
      out += depth > 0 ? filled(one_of(expressions, random), depth - 1, random) : expressions[random() % 13];
    else
      out += c;
  return out;
}

/// Some statements, and the macros that they call.
inline std::string make(std::mt19937& random) {
  std::string source = macros;
  for (std::size_t n = 0; n <= random() % 2; ++n)
    source += filled(one_of(statements, random), 1 + static_cast<int>(random() % 3), random);
  return source;
}

}  // namespace iapt::test::random_template
