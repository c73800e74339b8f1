# SPDX-License-Identifier: Apache-2.0
"""Small templates for make_jinja.py, and the variables that they see."""

VARIABLES = {
    "s": "Hello, World", "empty": "", "spaces": "  a  b \t c\n", "lines": "one\ntwo\r\n\nthree\u2028four",
    "odd": "q'\"\\\n\t\u0001\u00e9\U0001F600<&>", "greek": "\u039f\u0394\u039f\u03a3 \u03a3 \u03a3\u03b1", "sharp": "stra\u00dfe \ufb01n \u01c6",
    "wide": "\u65e5\u672c\u8a9eabc", "i": 7, "z": 0, "neg": -3, "f": 2.5, "big": 9007199254740993, "t": True, "no": False,
    "n": None, "l": [3, 1, 2], "mixed": [1, "a", None, True, 2.5, [1], {"k": "v"}], "names": ["b", "A", "c", "B"],
    "nested": [[1, 2], [3, [4]]], "none_list": [],
    "d": {"b": 1, "a": "x", "items": "own", "c": [1, 2]}, "empty_d": {},
    "users": [{"name": "Bob", "age": 30, "tags": ["x"], "at": {"city": "Oslo"}},
              {"name": "alice", "age": 25, "tags": [], "at": {"city": "Rome"}},
              {"name": "Carl", "age": 30, "at": {}}],
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "Hello!"}],
}

# Expressions, one a line: each is the template {{ expression }}.
LITERALS = r"""
1
-1
+1
1_000
0x1F
0b101
0o17
012
1.5
1.0
1e3
1.5e-7
1e16
123456789012345680.0
0.1 + 0.2
1e400
1e-320
100000.0
true
True
false
False
none
None
'a'
"a"
'a' 'b' "c"
'it\'s'
"\x41\u00e9\U0001F600\101\0"|tojson
'\n\t\\\a\b\f\v\r'|tojson
'\d\/\ '
'a\
b'
'\x4'
'\ud800'
'\N{DASH}'
[]
[1, 2, 3]
[1, 2, 3,]
()
(1,)
(1, 2)
1, 2
(1)
{}
{'a': 1, "b": [2], 3: none, none: 4, 1.5: 5, true: 6, (1, 2): 7}
{1: 'a', 1.0: 'b', true: 'c'}
{[1]: 2}
{'a': 1,}
[true, false, none, 1.0, 'x', "it's", 'say "x"', 'it\'s "x"']
[odd]
['\x00\x7f\xa0\xad\u2028\ue000']
[undefined_name]
9223372036854775807
9223372036854775808
-9223372036854775808
""".strip("\n").split("\n")
# A literal with a line end inside is split above; it is put together here.
at = LITERALS.index("'a\\")
LITERALS[at:at + 2] = [LITERALS[at] + "\n" + LITERALS[at + 1]]

OPERATORS = r"""
1 + 2 * 3 - 4
(1 + 2) * 3
7 / 2
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
7.5 % 2
-7.5 % 2
7.5 % -2
6.0 // 0.1
0.0 // 5
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2 ** 63
2 ** 62
2.0 ** 0.5
0 ** 0
(-8) ** 0.5
9223372036854775807 + 1
-9223372036854775807 - 2
4611686018427387904 * 2
1 / 0
1 // 0
1 % 0
1.0 / 0
true + true
true + 1.5
-true
+false
not 1
not 0
not not 'x'
-none
- -3
'a' + 'b'
'a' + 1
1 + 'a'
'a' * 3
3 * 'ab'
'a' * -1
'a' * 1.5
[1] + [2, 3]
(1,) + (2,)
[1] + (2,)
[1, 2] * 2
2 * (1,)
[] * 5
'a' - 'b'
'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1, 'x'] ~ undefined_name
1 ~ 2 + 3
1 + 2 ~ 3
1 ~ 2 * 3
'a' ~ 'b' == 'ab'
1 == 1.0
1 == true
0 == false
'1' == 1
none == false
none == none
undefined_name == undefined_name
undefined_name == other_name
undefined_name == none
[1, 2] == [1.0, 2]
(1,) == [1]
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
{'a': 1} == {'a': 2}
1 != 2
1 < 2
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 <= 1.0
'a' < 'b'
'a' < 'B'
'é' < 'z'
'a' < 'ab'
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 'a') < (1, 'b')
1 < 'a'
none < 1
'a' > none
{} < {}
big == 9007199254740992.0
big > 9007199254740992.0
9223372036854775807 < 9223372036854775808.0
'ell' in s
'' in s
'x' in s
'x' not in s
1 in s
2 in l
'2' in l
true in [1]
'a' in d
'x' in d
[1] in d
1 in {1.0: 2}
'a' in none
'a' in 5
'a' in undefined_name
undefined_name in l
undefined_name in s
1 in range(3)
1 and 2
0 and 2
1 or 2
0 or ''
'' or none or 'x'
none and undefined_name.x
true or undefined_name.x
not true or true
1 if true
1 if false
(1 if false) is defined
1 if t else 2
1 if no else 2
1 if no else 2 if no else 3
('a' if no) ~ 'b'
undefined_name + 1
1 + undefined_name
'a' + undefined_name
undefined_name * 2
undefined_name < 1
-undefined_name
undefined_name.x
undefined_name['x']
undefined_name()
undefined_name[1:]
d.nope.deeper
d['nope']['deeper']
n.x
n['x']
n.x.y
i.x
s.nope
l.nope
l[9]
l['x']
""".strip("\n").split("\n")

LOOKUPS = r"""
l[0]
l[-1]
l[-3]
l[-4] is defined
l[true]
l[1.0] is defined
l.0
nested.1.1.0
s[0]
s[-1]
s[99] is defined
wide[0]
wide[2]
wide[-4]
s[1:3]
s[:-1]
s[::-1]
s[::2]
s[-3:]
s[5:2]
s[10:100]
s[-100:2]
s[4:1:-1]
s[none:none:none]
wide[1:4]
wide[::-1]
l[1:]
l[::-1]
l[::-2]
l[:2]
(1, 2, 3)[::-1]
(1, 2, 3)[1:]
range(5)[1:3]|list
l[0:2:0]
l['a':]
5[1:]
d[1:]
s[9223372036854775807:]
s[::9223372036854775807]
s[::-9223372036854775807]
s[-9223372036854775807:3]
d.a
d['a']
d.items is callable
d['items']
d.get('a')
d.get('x')
d.get('x', 5)
d.get('x', default=5)
d.get([1])
d.get()
d.keys()
d.values()
d.items()
d.keys()|list
d.copy() == d
empty_d.items()|list
d.keys()|length
d.keys()[0] is defined
d.items()|first
s.upper is callable
s['upper']()
s.__class__
s['__class__']
s|attr('__len__')
''.__class__.__mro__
l.append(1)
l.append
l.pop()
d.update({'a': 1})
d.pop('a')
d.setdefault('x', 1)
l.sort()
l.index(1)
l.index(9)
l.count(3)
l.copy()
(1, 2, 1).count(1)
(1, 2).index(2)
users[0].name
users[0]['at']['city']
users[0].at.city
users[2].tags is defined
messages[0]['role'] == 'system'
messages[-1].content
messages|length
loop is defined
self is callable
range is callable
""".strip("\n").split("\n")

METHODS = r"""
s.upper()
s.lower()
sharp.upper()
sharp.title()
sharp.capitalize()
greek.lower()
greek.title()
'İI'.lower()|tojson
'they\'re bill\'s 3d x_y'.title()
'HELLO wORLD'.capitalize()
''.capitalize()
spaces.strip()|tojson
spaces.lstrip()|tojson
spaces.rstrip()|tojson
'xxabcxx'.strip('x')
'xyabcyx'.strip('yx')
'xyabcyx'.lstrip('xy')
'xyabcyx'.rstrip('xy')
'<|a|>x'.strip('<|>')
'éaé'.strip('é')
'abc'.strip('')
' a '.strip(none)
'\x1c\u2003a\x85'.strip()
'abc'.strip(1)
spaces.split()
spaces.split(' ')
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a,b,,c'.split(',', 0)
'a,b,,c'.split(',', -1)
'a,b,,c'.split(sep=',', maxsplit=2)
'a,b,,c'.rsplit(',', 1)
'aXXbXXXc'.split('XX')
'aXXbXXXc'.rsplit('XX')
'  a b  c  '.split(none, 1)
'  a b  c  '.rsplit(none, 1)
'  a b  c  '.rsplit(none, 0)
'  a b  '.split(none, 0)
'  '.split()
''.split()
''.split(',')
'abc'.split('')
'<think>a</think>b'.split('</think>')[-1]
'<think>a</think>b'.split('</think>')|first
'aaaaaaaaaaaaaaaaab'.split('aaaaaaaaaaaaaab')
'abababababababababab'.split('ababababab')
'abababababababababab'.rsplit('ababababab', 1)
lines.splitlines()
lines.splitlines(true)
'a\n'.splitlines()
''.splitlines()
'\n\n'.splitlines()
'a\x0bb\x0cc\x1cd\x85e'.splitlines()
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('=')
'abc'.rpartition('=')
s.startswith('Hell')
s.startswith('x')
s.startswith(('x', 'H'))
s.startswith(['H'])
s.startswith('')
s.endswith('World')
s.endswith(('x', 'd'))
s.startswith(1)
'abcabc'.removeprefix('abc')
'abcabc'.removesuffix('abc')
'abc'.removesuffix('')
s.find('o')
s.find('o', 5)
s.find('zz')
s.rfind('o')
wide.find('abc')
s.find('')
s.index('World')
s.index('zz')
s.count('l')
s.count('')
'aaaa'.count('aa')
s.replace('l', 'L')
s.replace('l', 'L', 1)
s.replace('l', 'L', 0)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
'日本'.replace('', '.')
s.replace('l', none)
', '.join(names)
', '.join(['a', 1])
''.join(s)
'-'.join({'a': 1, 'b': 2})
'x'.join([])
'ab'.ljust(5, '.')
'ab'.rjust(5)
'ab'.center(5, '*')
'abc'.center(6, '*')
'ab'.center(7, '*')
'ab'.ljust(5, 'xy')
'12'.isdigit()
'1a'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'٣'.isdecimal()
''.isdigit()
'aé'.isalpha()
'a1'.isalnum()
' \n'.isspace()
'abc'.isascii()
'AB1'.isupper()
'Ab'.isupper()
'ab1'.islower()
'1'.islower()
'{} and {}'.format(1, 'x')
'{1} {0}'.format('a', 'b')
'{a} {b}'.format(a=1, b=[2])
'{{}} {}'.format(1)
'{:.2f}|{:8.3f}|{:<8}|{:>8}|{:^8}|{:*^9}'.format(3.14159, 2.5, 'ab', 'cd', 'ef', 'gh')
'{:d} {:5d} {:05d} {:+d} {:x} {:X} {:o} {:b} {:,}'.format(5, 6, 7, 8, 255, 255, 8, 5, 1234567)
'{:,.2f} {:e} {:.3e} {:g} {:.3g} {:%} {:.1%}'.format(1234567.891, 12345.678, 0.00012, 0.0001, 123456.0, 0.25, 0.125)
'{!r} {!s}'.format('a', 'b')
'{:>5} {:<5}|{:=+6d}'.format(1, 2, 3)
'{:.3}'.format('abcdef')
'{:5}|{:5}'.format('ab', 12)
'{}'.format()
'{0} {}'.format(1, 2)
'{'.format(1)
'}'.format(1)
'{x}'.format(y=1)
'{:d}'.format('a')
'{:d}'.format(1.5)
'{:s}'.format('a')
'{}{}{}'.format(none, true, 1.0)
'{:f}'.format(1)
'{:日>5}'.format('a')
'%s and %s' % ('a', 1)
'%s' % 'a'
'%s' % [1, 2]
'%s' % d
'%d%%' % 50
'%5d|%-5d|%05d|%+d|% d' % (1, 2, 3, 4, 5)
'%x %X %o' % (255, 255, 8)
'%.2f %8.3f %-8.1f| %e %g' % (3.14159, 2.5, 1.25, 12345.678, 0.0001)
'%5s|%-5s|%.2s' % ('ab', 'cd', 'efg')
'%r' % 'x'
'%(a)s-%(b)d' % {'a': 'x', 'b': 2}
'%(x)s' % {'a': 1}
'%s %s' % 'a'
'%s' % (1, 2)
'%d' % 'x'
'%d' % 1.9
'%d' % -1.9
'%i' % true
'%s' % undefined_name
'%s' % none
'abc' % []
'abc' % {}
'abc' % 1
'%' % 1
'%y' % 1
'%s' % ((1, 2),)
'%f' % 'x'
'%s%s' % ('a',)
'%.0f %.0f %.0f' % (0.5, 1.5, 2.5)
'%g %g %g' % (1e20, 1e-10, 100000)
'%f' % 1e300
""".strip("\n").split("\n")

FILTERS = r"""
s|upper
s|lower
sharp|upper
n|upper
i|upper
undefined_name|upper ~ '.'
'hello world-foo (bar) [baz] x_y'|title
'ǆ ß'|title
'hELLO'|capitalize
spaces|trim|tojson
'xxaxx'|trim('x')
'xxaxx'|trim(chars='x')
12|trim
s|length
l|length
d|length
undefined_name|length
n|length
5|length
l|count
wide|length
(l|map('string'))|length
n|default('x')
undefined_name|default('x')
undefined_name|default
''|default('x')
''|default('x', true)
''|default('x', boolean=true)
no|d('x', true)
undefined_name.x|default('y')
d.nope|default('y')
l|join
l|join(', ')
names|join(' / ')
users|join(', ', attribute='name')
users|join(', ', 'age')
mixed|join('|')
s|join('.')
d|join(',')
n|join
undefined_name|join(',')
l|first
[]|first
[]|first is defined
s|first
d|first
l|last
s|last
d|last
[]|last
n|first
l|map('string')|first
l|map('string')|last
s|list
d|list
d|items|list
empty_d|items|list
undefined_name|items|list
l|items|list
d.items()|list
n|list
l|reverse|list
s|reverse
l|reverse
d|reverse|list
(l|map('string'))|reverse
l|sort
l|sort(reverse=true)
l|sort(true)
names|sort
names|sort(case_sensitive=true)
names|sort(false, true)
users|sort(attribute='age')|map(attribute='name')|join(',')
users|sort(attribute='age,name')|map(attribute='name')|join(',')
users|sort(attribute='at.city')|length
mixed|sort
[2, 1.5, true]|sort
['b', ['a']]|sort
d|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort(true)
{'b': 1, 'A': 3, 'c': 2}|dictsort(false, 'value')
{'b': 1, 'A': 3, 'c': 2}|dictsort(by='value', reverse=true)
{'b': 1}|dictsort(by='x')
l|dictsort
names|unique|list
['a', 'A', 'b', 'a']|unique|list
['a', 'A']|unique(true)|list
[1, 1.0, true, 2]|unique|list
users|unique(attribute='age')|map(attribute='name')|list
[[1]]|unique|list
l|min
l|max
names|max
names|min(case_sensitive=true)
users|max(attribute='age')
[]|max
[]|min is defined
l|sum
users|sum('age')
users|sum(attribute='age', start=10)
[1.5, 2]|sum
['a', 'b']|sum
[[1], [2]]|sum(start=[])
[]|sum
users|groupby('age')
users|groupby('age')|length
users|groupby('name')|map(attribute='grouper')|list
(users|groupby('age'))[0].list|length
(users|groupby('age'))[0].grouper
users|groupby('at.city', default='Z')|map('first')|list
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
l|map('string')|list
l|map('upper')|list
names|map('upper')|join
names|map('replace', 'b', 'X')|list
users|map(attribute='name')|list
users|map(attribute='at.city')|list
users|map(attribute='at.city', default='-')|list
users|map(attribute='tags', default=[])|map('length')|list
nested|map(attribute=0)|list
nested|map('first')|list
l|map('nope')|list
l|map
n|map('upper')|list
l|select('odd')|list
l|select('gt', 1)|list
l|select|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
l|reject('odd')|list
l|select('in', [1, 2])|list
l|select('nope')|list
users|selectattr('age', 'equalto', 30)|map(attribute='name')|list
users|selectattr('tags')|list|length
users|selectattr('tags', 'defined')|list|length
users|rejectattr('tags', 'defined')|map(attribute='name')|list
users|selectattr('at.city', 'eq', 'Oslo')|list|length
messages|selectattr('role', '==', 'user')|map(attribute='content')|join
messages|rejectattr('role', 'in', ['user', 'system'])|list|length
users|selectattr
s|replace('l', 'L')
s|replace('l', 'L', 1)
123|replace(2, 'x')
s|replace('l', 'L', count=none)
'12'|int
' 12 '|int
'x'|int
'x'|int(5)
'1.9'|int
'1_0'|int
'0x1f'|int(base=16)
'1f'|int(0, 16)
'101'|int(base=2)
'0b11'|int(0, 0)
1.9|int
-1.9|int
true|int
none|int
none|int(7)
[]|int(3)
undefined_name|int
'inf'|int
'1e400'|int
'1.5'|float
'x'|float
'x'|float(2.5)
' 1e3 '|float
'nan'|float
'-inf'|float
'1_0.5'|float
none|float
3|float
-3|abs
-2.5|abs
'x'|abs
2.5|round
3.5|round
2.567|round(2)
2.675|round(2)
2|round
7|round(2)
2.1|round(method='ceil')
2.9|round(0, 'floor')
2.123|round(2, 'ceil')
-2.5|round
1e300|round(1)
2.5|round(method='x')
'x'|round
'<a href="x">\'&'|escape
'<'|e
('<'|e) + '>'
('<'|safe) + '>'
'>' + ('<'|safe)
('<'|safe) ~ '>'
('<'|safe)|upper + '&'
('a<'|safe)[0] + '&'
('a<'|safe)[1:] + '&'
('<'|safe) * 2 + '&'
(' <'|safe).strip() + '&'
('<'|safe) is string
('<'|safe) is escaped
('<'|safe)|tojson
('<'|safe)|length
('<'|safe)|replace('<', '>') + '<'
'%s'|safe + '<'
'a\nb\n\nc'|indent
'a\nb'|indent(2)
'a\nb'|indent(2, true)
'a\n\nb'|indent(2, false, true)
'a\n\nb'|indent(width=1, first=true, blank=true)
'a\nb'|indent('> ')
'a\n'|indent|tojson
''|indent|tojson
''|indent(2, true)|tojson
'\n'|indent|tojson
'a\r\nb'|indent|tojson
5|indent
undefined_name|indent
'%s-%s'|format('a', 1)
'%(x)s'|format(x=1)
'%s'|format(1, x=2)
'Hello, big world_x! 3 é'|wordcount
''|wordcount
l|string
'a'|string
none|string
undefined_name|string ~ '.'
1.0|string
'x'|center(5) ~ '.'
s|attr('upper') is callable
d|attr('a') is defined
d|attr('items') is callable
s|nope
s|tojson
odd|tojson
l|tojson
mixed|tojson
d|tojson
d|tojson(indent=2)
[]|tojson(indent=2)
{}|tojson(indent=2)
[[], {}, [1]]|tojson(indent=1)
d|tojson(indent=0)
d|tojson(indent='--')
d|tojson(separators=(',', ':'))
d|tojson(separators=[',', ':'], indent=2)
d|tojson(sort_keys=true)
odd|tojson(ensure_ascii=true)
odd|tojson(true)
(1, 2)|tojson
{1: 'a', none: 'b', true: 'c', 1.5: 'd'}|tojson
{(1, 2): 'a'}|tojson
1.0|tojson
1e100|tojson
1e-7|tojson
('nan'|float)|tojson
('inf'|float)|tojson
none|tojson
true|tojson
undefined_name|tojson
range(3)|tojson
d.items()|tojson
(l|map('string'))|tojson
range|tojson
'\x7f\u2028\ud7ff'|tojson
'</script>'|tojson
[1, 2]|first|string|upper|lower|trim|length
s|upper|lower
-1|abs
-s|length
1 + 2|string
(1 + 2)|string ~ 'x'
s|upper()
d|tojson|tojson
""".strip("\n").split("\n")

TESTS = r"""
s is defined
undefined_name is defined
undefined_name is undefined
undefined_name is not defined
d.nope is defined
d.a is defined
n is none
n is not none
undefined_name is none
t is boolean
i is boolean
t is true
i is true
1 is true
no is false
z is false
i is integer
t is integer
f is integer
f is float
i is float
i is number
f is number
t is number
s is number
s is string
l is string
d is mapping
l is mapping
s is iterable
l is iterable
d is iterable
i is iterable
n is iterable
undefined_name is iterable
s is sequence
l is sequence
d is sequence
i is sequence
n is sequence
undefined_name is sequence
undefined_name is mapping
undefined_name is string
d.items() is iterable
d.items() is sequence
(l|map('string')) is sequence
(l|map('string')) is iterable
range(3) is sequence
(1, 2) is sequence
range is callable
s is callable
joiner() is callable
cycler(1) is callable
namespace() is callable
3 is odd
4 is even
3 is even
-3 is odd
2.5 is odd
'a' is odd
9 is divisibleby 3
9 is divisibleby(2)
9 is divisibleby 0
'AB' is upper
'ab' is lower
'Ab' is lower
5 is upper
none is sameas none
true is sameas true
1 is sameas true
l is sameas l
l is sameas [3, 1, 2]
1 is eq 1
1 is equalto 1.0
1 is == 1
1 is ne 2
1 is lt 2
2 is gt 1
2 is ge 2
2 is le 1
1 is lessthan 2
1 is greaterthan 2
2 is in l
'x' is in 'xyz'
'a' is in d
2 is not in l
2 is in [1, 2] and true
'upper' is filter
'nope' is filter
'odd' is test
'nope' is test
s is nope
not s is defined
s is defined and l is defined
s is string is true
(s is string) is true
1 is odd or 2
5 is number if true else 6
x.y is defined if false else 'z'
s is defined == true
l is defined(1)
i is divisibleby
""".strip("\n").split("\n")

GLOBALS = r"""
range(3)|list
range(1, 4)|list
range(5, 0, -2)|list
range(0)|list
range(3)|length
range(3)|sum
range(3)|last
range(3)
range(0, 3, 0)
range(100001)|length
range(100000)|length
range('a')
range()
range(1.5)
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict([('a', 1), ['b', 2]])
dict()
dict(1)
dict(d.items()) == d
dict(**{'x y': 1})
namespace(a=1).a
namespace({'a': 1}, b=2).b
namespace(a=1).b
namespace(a=1)['a']
namespace(_a=1)
raise_exception('No!')
raise_exception('a' ~ 1)
raise_exception(5)
raise_exception()
strftime_now('%Y-%m-%d')
strftime_now('%d %b %Y, %B %A %a %H:%M:%S %p %I %y %j %%')
strftime_now('today')
strftime_now('%-d %-m')
lipsum is defined
""".strip("\n").split("\n")

# Whole templates.
STATEMENTS = [
    "{% macro f() %}{{ kwargs }}{% endmacro %}{{ f(a=1, a=2) }}",
    "{% macro f() %}{{ kwargs }}{% endmacro %}{{ f(a=1, **{'a': 2}) }}", "", "plain", "a\n", "a\n\n", "\n",
    "a\r\nb\rc\n", "\r\n", "{# comment #}a", "a{# x #}b", "a{#- x -#} b", "a {#- x -#} b", "{# x #}\nb",
    "  {# x #}\nb", "{#+ x +#}\nb", "{#-#}a", "{# {% x %} #}a", "{# open", "{{ 'open' ", "{% if", "{{", "{%", "{#",
    "{", "{ {", "}}", "%}", "a { b } c {", "{{ '}}' }}", "{{ '%}' }}", "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ {'a': 1}}}", "{{ ( }}", "{{ ) }}", "{{ (] }}", "{{ 1 2 }}", "{{ }}", "{{ , }}", "{{ 1, }}", "{{ a b }}",
    "{{ $ }}", "{{ 'a }}", "{{ a. }}", "{{ a[ }}", "{{ a[] }}", "{{ f(a=1, 2) }}", "{{ f(,) }}", "{{ f(**a, *b) }}",
    "{{ f(**a, b=1) }}", "{{ l[1, 2] is defined }}", "{{- ' a ' -}}", "a {{- 'b' -}} c", "a {{ 'b' }} c",
    "a\n{{- 'b' -}}\nc", "a\n{{ 'b' }}\nc", "a {{+ 1 }} b", "{{-1}}", "{{+1}}", "{{ 1 -}}\n\n  x", "{{ 1-}}x",
    "{% if true %}\na\n{% endif %}\nb\n", "  {% if true %}\n  a\n  {% endif %}\n  b\n",
    "x {% if true %}\na{% endif %} y", "x\n  {%- if true %}\n a\n {%- endif %}\n y",
    "x\n  {%+ if true %}\n a\n {%+ endif %}\n y", "{% if true +%}\na{% endif %}",
    "{% if true -%}\n\n a{% endif -%}\n b", "{%- if true -%} a {%- endif -%} b",
    "\t{% if true %}\n\t\ta\n\t{% endif %}", "a\n   \n  {% if true %}b{% endif %}",
    "  {{ 1 }}\n  {% if true %}{% endif %}", "{% if true %}{% endif %}\n\nx",
    "{% if true %}  {% if true %}x{% endif %}{% endif %}", "{% set x = 1 %}  {% set y = 2 %}\n{{ x }}",
    "{% raw %}{{ x }}{% y %}{# z #}{% endraw %}", "{% raw -%}  a  {%- endraw %} b",
    "  {% raw %}\n  a\n  {% endraw %}\n  b", "{%- raw %}a{% endraw -%} b", "{% raw %}a", "{% raw %}{% endraw +%}\nb",
    "{% raw x %}", "a {%raw%}{%endraw%}\nb", "{% raw %}\n{% endraw %}x",
    "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}", "{% if 0 %}a{% elif 2 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif 0 %}b{% else %}c{% endif %}", "{% if 0 %}a{% endif %}",
    "{% if undefined_name %}a{% else %}b{% endif %}",
    "{% if [] %}a{% endif %}{% if {} %}b{% endif %}{% if '' %}c{% endif %}{% if 0.0 %}d{% endif %}{% if ' ' %}e{% endif %}{% if (l|map('string')) %}f{% endif %}",
    "{% if range(0) %}a{% else %}b{% endif %}", "{% if d.items() %}a{% endif %}{% if empty_d.items() %}b{% endif %}",
    "{% if a %}", "{% endif %}", "{% else %}", "{% if 1 %}{% endfor %}", "{% nope %}", "{% if %}{% endif %}",
    "{% if 1 %}a{% else %}b{% else %}c{% endif %}", "{% if 1: %}a{% endif %}", "{% if 1, %}a{% endif %}",
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}",
    "{% for x in l %}a{% else %}none{% endfor %}", "{% for x in undefined_name %}a{% else %}none{% endfor %}",
    "{% for x in n %}a{% endfor %}", "{% for x in 5 %}a{% endfor %}", "{% for c in wide %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }} {% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}",
    "{% for a in 1, 2, 3 %}{{ a }}{% endfor %}", "{% for (a, b) in [(1, 2)] %}{{ a }}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in l %}{{ loop.nope }}{% endfor %}",
    "{% for x in l %}{{ loop.nope.x }}{% endfor %}", "{% for x in l %}{{ loop['index'] }}{% endfor %}",
    "{% for x in l %}{% for y in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for x in l %}{% set outer = loop %}{% for y in 'ab' %}{{ outer.index }}{{ loop.index }}{% endfor %} {% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in l if x is odd %}{{ loop.nextitem }},{{ loop.previtem }};{% endfor %}",
    "{% for m in messages if m.role != 'system' %}{{ m.content }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for x in [1, 2, 3, 4] if ns.n < 2 %}{{ x }}{% set ns.n = ns.n + 1 %}{% endfor %}",
    "{% for x in l %}{{ x }}{% break %}{% endfor %}!",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}|{% endfor %}",
    "{% break %}", "{% for x in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{% else %}none{% endfor %}",
    "{% for y in 'ab' %}{% for x in [] %}{% else %}{% break %}{% endfor %}{{ y }}{% endfor %}",
    "{% for x in l %}{% set z %}a{% break %}{% endset %}{{ z }}{% endfor %}!",
    "{% for x in l %}{% with %}{% continue %}{% endwith %}{{ x }}{% endfor %}!",
    "{% for x in nested recursive %}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for x in l %}{{ loop(l) }}{% endfor %}",
    "{% for x in (l|map('string')) %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}",
    "{% for x in l|reverse %}{{ x }}{{ loop.revindex }}{% endfor %}",
    "{% set g = l|map('string') %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g|list }}",
    "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% set g = l|select('odd') %}{{ 1 in g }}{{ g|list }}",
    "{% set g = l|map('string') %}{{ g|first }}{{ g|list }}",
    "{% set g = l|map('string') %}{% for x in g %}{{ x }}{% if loop.last %}!{% endif %}{% endfor %}",
    "{% for x in l %}{{ x }}{% endfor %}{{ x is defined }}", "{% for i in l %}{{ i }}{% endfor %}{{ i }}",
    "{% for x in l %}{% set i = x %}{% endfor %}{{ i }}", "{% for x in l %}{{ i }}{% set i = x %}{% endfor %}",
    "{% for x in l %}{% if true %}{% set y = x %}{% endif %}{{ y }}{% endfor %}{{ y is defined }}",
    "{% for loop in l %}{{ loop }}{% endfor %}", "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}",
    "{% set x = 1, 2 %}{{ x }}", "{% set (x, y) = [1, 2] %}{{ y }}", "{% set x, y = 1 %}",
    "{% set x, y = [1, 2, 3] %}", "{% set s = s ~ '!' %}{{ s }}", "{% set x %}a{{ 1 }}{% endset %}[{{ x }}]",
    "{% set x | upper %}a{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}a{% endset %}{{ x }}",
    "{% set s %}{{ s }}!{% endset %}{{ s }}", "{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}",
    "{{ i }}{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}",
    "{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% set i = 1 %}{{ f() }}",
    "{% if i %}{% set i = 1 %}{% endif %}{% for x in l %}{{ i }}{% endfor %}",
    "{% if true %}{% set f = 1 %}{% endif %}{% for x in l %}{{ f }}{% endfor %}",
    "{% for x in l %}{% for y in 'ab' %}{{ i }}{% endfor %}{% set i = x %}{% endfor %}",
    "{{ i }}{% for x in l %}{% for y in 'ab' %}{{ i }}{% endfor %}{% set i = x %}{% endfor %}",
    "{% for x in l %}{{ range is defined }}{% endfor %}{% set range = 1 %}",
    "{% set i = i + 1 %}{% for x in l %}{{ i }}{% endfor %}", "{% with i = i + 1 %}{{ i }}{% endwith %}",
    "{% filter replace('a', i|default('b')) %}a{% set i = 'c' %}{% endfilter %}",
    "{% macro i() %}{{ f }}{% endmacro %}{{ i() }}", "{% for x in l if i %}{{ x }}{% set i = 0 %}{% endfor %}",
    "{% set s, q = 1, 2 %}{% set s, q %}{{ s }}xy{% endset %}{{ s }}{{ q }}",
    "{% set s | replace(s|default('a'), 'b') %}a{% endset %}{{ s }}",
    "{% set ns = namespace(x='a') %}{% set ns.x %}{{ ns.x }}b{% endset %}{{ ns.x }}",
    "{{ undefined_name is callable }}{{ 'a' % undefined_name }}", "{{ 'a' % (l|map('string')) }}",
    "{{ 'a' % range(2) }}", "{{ 'a' % d.items() }}",
    "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}",
    "{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "{% if false %}{% set s = 1 %}{% endif %}{{ s }}",
    "{{ x }}{% set x = 1 %}{{ x }}", "{% set x = x|default(5) %}{{ x }}", "{% set true = 1 %}", "{% set 1 = 1 %}",
    "{% set x.y = 1 %}", "{% set d.y = 1 %}", "{% set x = %}", "{% set x[0] = 1 %}", "{% set x %}", "{% set x == 1 %}",
    "{% set ns = namespace(x=1) %}{% set ns.x = ns.x + 1 %}{{ ns.x }}",
    "{% set ns = namespace() %}{% for x in l %}{% set ns.last = x %}{% endfor %}{{ ns.last }}",
    "{% set ns = namespace(a=1, b=2) %}{% set ns.a, ns.b = ns.b, ns.a %}{{ ns.a }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set ns = namespace() %}{{ ns.x }}|{{ ns.x is defined }}",
    "{% set ns = namespace(x=[]) %}{% for y in l %}{% set ns.x = ns.x + [y] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.x %}block{% endset %}{{ ns.x }}",
    "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}",
    "{% macro f() %}a{% endmacro %}{{ f() }}",
    "{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(1) }}{{ f('a') }}{{ f() }}",
    "{% macro f(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(y=4, x=5) }}",
    "{% macro f(x, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ f(1) }}", "{% macro f(x=1, y) %}{% endmacro %}",
    "{% macro f(x) %}{{ x.y }}{% endmacro %}{{ f() }}",
    "{% macro f(x) %}{{ x is defined }}{% endmacro %}{{ f() }}{{ f(none) }}",
    "{% macro f(x) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(x) %}{% endmacro %}{{ f(y=2) }}",
    "{% macro f(x) %}{% endmacro %}{{ f(1, x=2) }}", "{% macro f() %}{{ varargs }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f() %}{{ kwargs }}{% endmacro %}{{ f(a=1, b=2) }}",
    "{% macro f(x) %}{{ x }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, z=3) }}",
    "{% macro f(*x) %}{% endmacro %}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}",
    "{% macro f() %}{% set y = 1 %}{{ y }}{% endmacro %}{{ f() }}{{ y is defined }}",
    "{% macro f() %}{{ s }}{% endmacro %}{{ f() }}",
    "{% for x in l %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% macro f() %}{{ x }}{% endmacro %}{% for x in l %}{{ f() }}{% endfor %}",
    "{{ f() }}{% macro f() %}{% endmacro %}",
    "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a')|upper }}{{ f('b') ~ '!' }}{{ f('a') is string }}{{ f('abc')|length }}",
    "{% macro f() %}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.catch_varargs }}{{ f.caller }}",
    "{% macro f(a, b=1) %}{{ kwargs }}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}",
    "{% macro f() %}{% endmacro %}{{ f is callable }}",
    "{% macro f() %}  a\n  {% if true %}\n  b\n  {% endif %}\n{% endmacro %}{{ f() }}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(*[1]) }}{{ f(**{'x': 2}) }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{% endcall %}",
    "{% macro f(x) %}{{ x }}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) f(0) %}{{ a }}-{{ b }}{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}",
    "{% macro f() %}a{% endmacro %}{% call f() %}b{% endcall %}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ caller(x=1) }}{% endmacro %}{% set y = 5 %}{% call(x) f() %}{{ x }}{{ y }}{% endcall %}",
    "{% call f %}{% endcall %}", "{% macro f(caller) %}{{ caller }}{% endmacro %}{{ f(1) }}",
    "{% macro f(x) %}{% if x %}{{ return }}{% endif %}a{% endmacro %}{{ f(1) }}",
    "{% macro a() %}1{% endmacro %}{% macro b() %}{{ a() }}2{% endmacro %}{{ b() }}",
    "{% macro f(x, d={'a': 1}) %}{{ d[x] }}{% endmacro %}{{ f('a') }}",
    "{% macro f(l=[1]) %}{{ l }}{% endmacro %}{{ f() }}{{ f([2]) }}", "{% set f = range %}{{ f(2)|list }}",
    "{% set up = s.upper %}{{ up() }}", "{{ s.upper().lower().strip('h')[::-1] }}",
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}",
    "{% filter indent(2) %}a\nb{% endfilter %}", "{% filter nope %}{% endfilter %}",
    "{% filter trim %}  {% set q = 1 %}x {% endfilter %}{{ q is defined }}", "{% with %}a{% endwith %}",
    "{% with x = 1 %}{{ x }}{% endwith %}{{ x is defined }}", "{% with x = 1, y = x %}{{ y is defined }}{% endwith %}",
    "{% with x = 1 %}{% set x = 2 %}{{ x }}{% endwith %}", "{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}",
    "{% with x %}{% endwith %}", "{% generation %}a{{ s }}{% endgeneration %}b",
    "{% generation %}{% set x = 1 %}{% endgeneration %}{{ x is defined }}",
    "{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% generation %}\na\n{% endgeneration %}\nb", "{%- generation -%} a {%- endgeneration %}",
    "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{% generation %}a", "{% print 1 %}",
    "{% print 1, 'a' %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}",
    "{% if false %}{{ s|nope }}{% endif %}a", "{% if true %}{{ s|nope }}{% endif %}", "{{ s|nope if false else 'a' }}",
    "{{ s is nope if false }}", "{% for x in [] %}{{ x|nope }}{% endfor %}",
    "{% macro f() %}{{ s|nope }}{% endmacro %}", "{% if false %}{% for x in [] %}{{ x|nope }}{% endfor %}{% endif %}",
    "{% if 1 is nope %}{% endif %}", "{% if false %}{% elif s|nope %}{% endif %}",
    "{{ (s|nope) if false }}{{ s|nope }}", "{% if false %}{{ [1]|map('nope')|list }}{% endif %}a",
    "{% set j = joiner() %}{{ j() }}a{{ j() }}b{{ j() }}c",
    "{% set j = joiner('|') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{% set c = cycler() %}", "{{ l }}{{ d }}{{ mixed }}", "{{ users[0] }}", "{{ odd }}", "{{ [odd, 'x'] }}",
    "{{ (1, 'a', none) }}", "{{ {'a': undefined_name} }}", "{{ d.items() }}", "{{ l|map('string') }}", "{{ range }}",
    "{{ s.upper }}", "{{ loop }}", "{{ [1.0, 2.50, 1e20, 1e-5, -0.0] }}",
    "{% set x = [1, 2] %}{% set y = x %}{{ x == y }}{{ x is sameas y }}",
    "{% set m = {'a': 1} %}{{ m.a }}{{ m['a'] }}{{ m.get('a') }}", "{% set x = {'a': 1, **{'b': 2}} %}",
    "{{ [x for x in l] }}", "{{ lambda: 1 }}", "{{ 1 if 1 else }}", "{{ l.0 }}", "{{ l.-1 }}", "{{ 1.5.real }}",
    "{{ 5 .real }}", "{{ 'a'.5 }}", "{% set messages = messages[1:] %}{{ messages[0].content }}",
    "{% set content = messages[0].content if messages[0].content is string else '' %}{{ content }}",
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{% endfor %}",
    "{%- for message in messages %}\n    {%- if loop.first and message.role == 'system' %}\n        {{- message.content + '\\n' }}\n    {%- elif message.role == 'user' %}\n        {{- '[INST] ' ~ message.content|trim ~ ' [/INST]' }}\n    {%- else %}\n        {{- raise_exception('Unknown role: ' ~ message.role) }}\n    {%- endif %}\n{%- endfor %}",
    "{%- set system = messages|selectattr('role', 'equalto', 'system')|map(attribute='content')|first|default('none') %}{{ system }}",
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}",
    "{{ 1 }}\n\n{{ 2 }}\n", "{{ 1 }}\r\n{% if true %}\r\na\r\n{% endif %}\r\n", "\ufefftext",
    "{{ '\u00e9' }}\u00e9{% set \u00e9 = 1 %}{{ \u00e9 }}", "{% if true %}\u2003{% endif %}",
    "\u2003{% if true %}x{% endif %}", "{{\u2003s\u2003}}",
    "{% set x = 'a' %}{% set x = x + 'b' if x else 'c' %}{{ x }}",
    "{{ 'a' if s == 'x' else 'b' if s == 'y' else 'c' }}", "{{ s[0] | upper ~ s[1:] }}", "{{ not s }}",
    "{{ not (s and l) }}", "{{ s and l }}", "{{ (not s) or l }}", "{{ 1 in l and 9 not in l }}", "{{ not 1 in l }}",
    "{{ 1 == 1 in [1] }}", "{{ -l[0] }}", "{{ -2|abs }}", "{{ (-2)|abs }}", "{{ 2 - -2 }}", "{{ 2 -1 }}",
    "{{ s|length > 3 and s|length < 100 }}", "{{ l|length - 1 }}", "{{ l[l|length - 1] }}", "{{ d['a'] ~ d.b }}",
    "{{ {'a': 1}.a }}", "{{ 'abc'[1] }}", "{{ [1, 2][0] }}", "{{ (1, 2)[1] }}", "{{ '%s' % s|upper }}",
    "{{ 'a' ~ 'b'|upper }}", "{{ ('a' ~ 'b')|upper }}", "{{ 'x' * 3 ~ 'y' }}", "{{ 2 * 'x' }}",
    "{{ s.replace('l', '').split(', ') }}", "{{ s.split(', ')[1].upper()[:2] }}", "{{ dict(a=1).items()|list }}",
    "{{ d|items|map('first')|join(',') }}", "{{ users|map(attribute='name')|map('lower')|sort|join(', ') }}",
    "{{ l|sort|reverse|list|first }}",
    "{% set x = namespace(v='a') %}{% macro f() %}{% set x.v = x.v ~ 'b' %}{% endmacro %}{{ f() }}{{ f() }}{{ x.v }}",
    "{% macro f(items) %}{% for i in items %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}{% endmacro %}[{{ f([1, 2, 3]) }}]",
    "{% macro show(v) %}{% if v is mapping %}{ {% for k, x in v|dictsort %}{{ k }}: {{ show(x) }} {% endfor %}}{% elif v is iterable and v is not string %}[{% for x in v %}{{ show(x) }}{% endfor %}]{% else %}{{ v }}{% endif %}{% endmacro %}{{ show(users) }}",
    "{% set x = 5 %}{% for i in range(3) %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% for i in range(2) %}{% for i in 'ab' %}{{ i }}{% endfor %}{{ i }}{% endfor %}",
    "{% for k in d.keys() %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %}",
    "{% for i in range(3) %}{{ loop.index }}{{ loop.length }}{% endfor %}",
    "{% for a in users|groupby('age') %}{{ a.grouper }}:{{ a.list|map(attribute='name')|join('+') }} {% endfor %}",
    "{% for age, group in users|groupby('age') %}{{ age }}:{{ group|length }} {% endfor %}",
    "{% for row in [1, 2, 3]|batch(2) %}{{ row }}{% endfor %}", "{% set a = b = 1 %}", "{% endset %}", "{% set %}",
    "{% for %}{% endfor %}", "{% for x %}{% endfor %}", "{% for x in %}{% endfor %}", "{% for in l %}{% endfor %}",
    "{% macro %}{% endmacro %}", "{% macro f %}{% endmacro %}", "{% macro f( %}{% endmacro %}",
    "{% call %}{% endcall %}", "{%%}", "{% %}", "{% 1 %}", "{% if 1 %}{{ 1 }",
    "{% for x in l %}{% else %}{% else %}{% endfor %}", "{% if 1 }}", "{{ 1 %}", "{{ s | }}", "{{ s | 1 }}",
    "{{ s is }}", "{{ s is not }}", "{{ s.1a }}", "{{ 1a }}", "{{ 0x }}", "{{ 1__0 }}", "{{ 1_ }}", "{{ 1.e5 }}",
    "{{ .5 }}", "{{ 1..2 }}", "{{ a = 1 }}", "{{ a := 1 }}", "{{ a; b }}", "{{ !a }}", "{{ a && b }}", "{{ a @ b }}",
    "{{ a <> b }}", "{{ not }}", "{{ in }}", "{{ if }}", "{{ loop.index }}", "{{ else }}", "{{ and }}",
]

# What Jinja2 renders and this library refuses: integers of more than 64 bits, lone surrogates, complex numbers,
# attributes of numbers, names of Python's internals, the variable self, and a range that is printed.
REFUSED_HERE = {"{{ " + expression + " }}" for expression in (
    r"'\ud800'", "9223372036854775808", "-9223372036854775808", "2 ** 63", "9223372036854775807 + 1",
    "-9223372036854775807 - 2", "4611686018427387904 * 2", "(-8) ** 0.5", "5[1:]", "s.__class__", "s['__class__']",
    "s|attr('__len__')", "range(3)", "self is callable", "l[1, 2] is defined", "1.5.real", "5 .real")}

# Characters whose upper, lower and title case are stored.
CASED = [(0x20, 0x17F), (0x1C4, 0x1F1), (0x345, 0x400), (0x400, 0x500), (0x587, 0x588), (0x1E96, 0x1E9F), (0x1F50, 0x1F58),
         (0x1F80, 0x1FFD), (0xFB00, 0xFB18)]

EXPRESSIONS = LITERALS + OPERATORS + LOOKUPS + METHODS + FILTERS + TESTS + GLOBALS
TEMPLATES = ["{{ " + expression + " }}" for expression in EXPRESSIONS] + STATEMENTS
