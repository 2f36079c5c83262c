"""Writes more_cases.json: templates with the output of the real Jinja2.

Run it with a Python 3.11 that has Jinja2 3.1:  python3 make_cases.py
"""

import json
import pathlib

import jinja2

CTX = {
    "env": "dev", "n": 7, "zero": 0, "neg": -12, "big": 2**62, "pi": 3.14159265, "half": 2.5, "tiny": 1e-9,
    "large": 1.5e300, "yes": True, "no": False, "nil": None, "empty": "", "table": "sales_orders",
    "path": "s3://lake/raw/2024/orders.csv", "csv": "id,name,total", "text": "The quick brown fox jumps over the lazy dog",
    "uni": "Zażółć gęślą jaźń", "quote": "it's \"fine\"", "multi": "one\ntwo\n\nthree", "padded": "  spaced out  ",
    "html": "<a href=\"x\">T&C's</a>", "tables": ["orders", "items", "users"], "nums": [5, 3, 9, 1, 3],
    "floats": [1.5, 2.25, -0.5], "mixed": [1, "two", None, True, 2.5, [3], {"k": "v"}], "none_list": [],
    "db": {"host": "db.local", "port": 5432, "name": "lake", "opts": {"ssl": True, "retries": 3}},
    "rows": [
        {"id": 1, "name": "ann", "dept": "eng", "pay": 10.5, "tags": ["a", "b"]},
        {"id": 2, "name": "Bob", "dept": "ops", "pay": 7, "tags": []},
        {"id": 3, "name": "cy", "dept": "eng", "pay": 8.25, "tags": ["c"]},
    ],
    "tree": [{"n": "root", "kids": [{"n": "a", "kids": []}, {"n": "b", "kids": [{"n": "c", "kids": []}]}]}],
    "dates": ["2024-01-02", "2023-12-31"], "unsorted": {"b": 2, "a": 3, "C": 1},
}

EXPR = {
    "number": """
1 + 1 | 1 - 2 | 2 * 3.0 | 7 / 2 | 7 // 2 | -7 // 2 | 7 // -2 | 7.5 // 2 | -7.5 // 2 | 7 % 3 | -7 % 3 | 7 % -3 | 7.5 % 2 | -7.5 % 2
2 ** 10 | 2 ** -1 | 2 ** 0.5 | 2 ** 100 | (-2) ** 3 | -2 ** 2 | 2 ** 3 ** 2 | 10 ** 20 // 3 | -10 ** 20 // 3 | -(10 ** 20) % 7
9223372036854775807 + 1 | -9223372036854775807 - 2 | 9223372036854775807 * 2 | 9223372036854775808 - 1 | 0 ** 0 | 1 / 3 | 2 / 1
0x1f + 0o17 + 0b11 | 1_000_000 | 1e3 | 1.5e-7 | 1e16 | 123456789012345680.0 | 0.1 + 0.2 | 1e22 | 1e21 + 1 | 100.0 | 1.0e5 | 5e-324 | 0.0001 | 0.00001
-0.0 | 0.0 == -0.0 | 1 == 1.0 | 1 == true | true + true | 1 < 2.5 | 3 > 2 > 1 | 3 > 2 > 2 | 1 in [1.0] | big * 4 | big + big | large * 10 | n / 0 | n // 0 | n % 0 | 1.0 / 0
+n | -n | - -n | +yes | not n | not zero | n is odd | zero is even | neg is divisibleby 4 | 10 ** 400 / 10 ** 399 | 2 ** 63 | -(2 ** 63) | 7 // 0.5 | 1 if n else 2
n | abs | neg | abs | pi | round(2) | half | round | 3.5 | round | -2.5 | round | 1234.567 | round(-2) | 1250 | round(-2) | 1234 | round(-2) | 2.675 | round(2) | 7 | round(2)
""",
    "string": """
'a' + 'b' | 'a' ~ 1 ~ none ~ true | 'ab' * 3 | 3 * 'ab' | 'ab' * -1 | 'a' 'b' "c" | 'tab\\tend' | 'q\\'s' | "d\\"q" | 'x\\x41\\u00e9\\n' | 'un\\known' | 'oct\\101'
text[0] | text[-1] | text[4:9] | text[:3] | text[-3:] | text[::-1] | text[::5] | text[100:] | text[5:2] | text[-100:3] | uni[2:6] | uni | length | uni | upper | 'ß' | upper
'a' < 'b' | 'a' < 'B' | 'abc' == 'abc' | 'b' in 'abc' | '' in 'abc' | 'z' not in 'abc' | 1 in 'abc' | text[99] | text['x'] | text.nope | 'a' < 1 | 'a' - 'b' | 'a' + 1 | 1 + 'a'
path.split('/') | path.split('/', 2) | path.rsplit('/', 1) | path.split('/')[-1].split('.')[0] | csv.split(',') | text.split() | text.split(' ', 2) | text.split(maxsplit=1) | ''.split() | ''.split(',') | '  a  b '.split() | '  a  b '.split(' ') | ' a b  c '.rsplit(None, 1) | ' a b  c '.split(None, 1)
'a.b.c'.partition('.') | 'abc'.partition('.') | 'a.b.c'.rpartition('.') | multi.splitlines() | multi.splitlines(true) | 'a\\r\\nb'.splitlines() | ','.join(tables) | ''.join(['a', 'b']) | ','.join('abc') | ','.join(nums) | '-'.join(db)
padded.strip() | padded.lstrip() ~ '|' | padded.rstrip() | 'xxaxx'.strip('x') | 'abcba'.lstrip('ab') | 'abcba'.rstrip('ab') | table.replace('_', '-') | table.replace('s', 'S', 1) | 'aaa'.replace('', '-') | 'abc'.replace('b', '')
table.upper() | 'ÀÉ'.lower() | 'hello world'.title() | "they're bill's".title() | 'hELLO'.capitalize() | 'aBc'.swapcase() | table.startswith('sales') | table.endswith(('x', 'orders')) | table.startswith('orders', 6) | table.find('orders') | table.find('zz') | table.rfind('s') | table.index('_') | table.index('zz') | table.count('s') | table.count('s', 2) | 'aaaa'.count('aa')
'7'.zfill(3) | '-7'.zfill(4) | 'a'.ljust(4) ~ '|' | 'a'.rjust(4, '.') | 'ab'.center(7, '*') | 'abc'.center(6, '*') | 'a\\tb'.expandtabs(4) | '12'.isdigit() | '1a'.isdigit() | 'ab'.isalpha() | 'a1'.isalnum() | ' '.isspace() | 'AB'.isupper() | 'ab'.islower() | 'Ab Cd'.istitle() | ''.isdigit() | 'a_1'.isidentifier() | '½'.isnumeric() | 'prefix-x'.removeprefix('prefix-') | 'x.csv'.removesuffix('.csv') | 'abc'.isascii()
'%s' % 'a' | '%s and %s' % ('a', 1) | '%d' % 3.9 | '%5d|%-5d|%05d' % (7, 7, 7) | '%+d % d' % (3, 3) | '%.2f' % pi | '%8.3f' % pi | '%e' % 12345.678 | '%g %g' % (0.0001, 1e10) | '%x %X %o %#x' % (255, 255, 8, 255) | '%%' % () | '%(a)s-%(b)02d' % {'a': 'x', 'b': 3} | '%r' % 'a' | '%r' % [1, 'b'] | '%c' % 65 | '%s' % none | '%s' % [1, 2] | '%.3s' % 'abcdef' | '%10s|%-10s|' % ('a', 'b') | '%s %s' % ('a',) | '%s' % (1, 2) | '%d' % 'a' | '%*d' % (5, 3) | '%i' % true | '%-8.2e|' % 1234.5 | '%G' % 1e-10
'{}'.format(1) | '{} {}'.format('a', 'b') | '{1} {0}'.format('a', 'b') | '{x}'.format(x=3) | '{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c') | '{:05d}'.format(42) | '{:+}'.format(5) | '{:,}'.format(1234567) | '{:_}'.format(1234567) | '{:,.2f}'.format(1234567.891) | '{:.3f}'.format(pi) | '{:e}'.format(12345.0) | '{:g}'.format(0.00001) | '{:.2%}'.format(0.1234) | '{:x} {:#x} {:b} {:o}'.format(255, 255, 5, 8) | '{:*^9}'.format('mid') | '{:=+6d}'.format(4) | '{{}} {}'.format(1) | '{!r}'.format('a') | '{0[host]} {0[port]}'.format(db) | '{:{w}}|'.format('a', w=4) | '{:.2}'.format('abcdef') | '{:10.3}|'.format(2.0) | '{}'.format(2.0) | '{:n}'.format(3) | '{'.format() | '{}'.format() | '{:d}'.format('a') | '{:.3}'.format(123456.0) | '{:08.2f}'.format(-3.14159) | '{:c}'.format(65) | '{:,}'.format(12) | '{:010,}'.format(1234) | '{0.host}'.format({}) | '{a}'.format_map({'a': 1})
""",
    "filter": """
text | upper | text | lower | text | title | text | capitalize | "foo's bar-baz (qux)" | title | text | replace('o', '0') | text | replace('o', '0', 2) | n | replace('7', 'x') | padded | trim | 'xax' | trim('x') | text | wordcount | text | length | tables | length | db | count
text | truncate(20) | text | truncate(20, true) | text | truncate(20, false, '>') | text | truncate(40) | 'short' | truncate(3) | text | truncate(9, leeway=0) | text | wordwrap(12) | text | wordwrap(12, wrapstring='|') | 'averyveryverylongword x' | wordwrap(6) | 'a well-known state-of-the-art thing' | wordwrap(12) | 'averyveryverylongword x' | wordwrap(6, false)
multi | indent | multi | indent(2, true) | multi | indent(2, blank=true) | multi | indent('> ') | multi | indent(width=3, first=true, blank=true) | text | center(60) | 'ab' | center(5) | html | e | html | escape | html | e | e | html | forceescape | html | safe | html | striptags | 'a <b>c</b>\\n d &amp; e' | striptags
nope | default('x') | empty | default('x') | empty | default('x', true) | nil | default('x') | nil | d('x', true) | zero | default(5, boolean=true) | db.nope | default('dflt') | nope | d | nope | default(nope2 | default('deep')) | nope.deep | default('x')
'42' | int | 'x' | int | 'x' | int(9) | '4.7' | int | 4.7 | int | -4.7 | int | '0x1f' | int(base=16) | '101' | int(0, 2) | ' 12 ' | int | '1_000' | int | true | int | nil | int | nil | int(-1) | [] | int | '1e3' | int | '12345678901234567890' | int | 'inf' | int(3) | '3.25' | float | 'x' | float | 'x' | float(1.5) | 7 | float | ' 1e3 ' | float | 'nan' | float | 'inf' | float | none | float | '１２' | int
42.55 | round(1, 'floor') | 42.51 | round(1, 'ceil') | 42 | round(0, 'floor') | 42.5 | round(method='ceil') | 42.5 | round | int | pi | round(3) | 1e20 | round | 5 | round(-1) | 15 | round(-1) | 25 | round(-1) | half | round(method='bad')
tables | join(',') | tables | join | nums | join('-') | rows | join(',', attribute='name') | rows | map(attribute='name') | join(', ') | tables | map('upper') | join(' ') | tables | map('replace', 's', '$') | list | rows | map(attribute='pay') | sum | rows | map(attribute='nope', default='?') | list | rows | map(attribute='tags.0', default='-') | list | nums | map('string') | list | tables | map('length') | list | nums | map('float') | map('int') | list
nums | sort | nums | sort(reverse=true) | tables | sort | rows | sort(attribute='pay') | map(attribute='id') | list | rows | sort(attribute='name') | map(attribute='name') | list | rows | sort(attribute='name', case_sensitive=true) | map(attribute='name') | list | rows | sort(attribute='dept,pay', reverse=true) | map(attribute='id') | list | mixed | sort | unsorted | sort | nums | unique | list | ['a', 'A', 'b'] | unique | list | ['a', 'A', 'b'] | unique(case_sensitive=true) | list | rows | unique(attribute='dept') | map(attribute='id') | list
nums | min | nums | max | rows | max(attribute='pay') | [] | max | ['b', 'A'] | min | ['b', 'A'] | min(true) | nums | sum | floats | sum | rows | sum(attribute='pay') | nums | sum(start=100) | [[1], [2]] | sum(start=[]) | tables | sum | nums | first | nums | last | [] | first | [] | last | 'abc' | first | 'abc' | last | nums | reverse | list | 'abc' | reverse | db | first | 'abc' | list | db | list | range(4) | list
nums | select('odd') | list | nums | reject('odd') | list | nums | select('gt', 3) | list | nums | select('in', [1, 9]) | list | mixed | select | list | mixed | reject('none') | list | rows | selectattr('dept', 'equalto', 'eng') | map(attribute='id') | list | rows | rejectattr('tags') | map(attribute='id') | list | rows | selectattr('pay', '>=', 8) | map(attribute='name') | list | rows | selectattr('nope', 'defined') | list | mixed | select('string') | list | mixed | select('number') | list | mixed | select('mapping') | list | rows | selectattr('name', 'in', ['ann', 'cy']) | map(attribute='id') | list
unsorted | dictsort | unsorted | dictsort(true) | unsorted | dictsort(by='value') | unsorted | dictsort(reverse=true) | unsorted | dictsort(false, 'value', true) | db | items | list | rows | groupby('dept') | map('first') | list | rows | groupby('dept') | map('last') | map('length') | list | nums | batch(2) | list | nums | batch(2, 0) | list | nums | slice(3) | list | nums | slice(3, 'x') | list | nope | items | list | rows | groupby('nope', default='z') | map(attribute='grouper') | list
db | tojson | mixed | tojson | quote | tojson | uni | tojson | db | tojson(indent=2) | [] | tojson(2) | {'a': [], 'b': {}} | tojson(indent=1) | 1.0 | tojson | nope | tojson | {'b': 1, 'a': 2} | tojson | {1: 'x', 2: 'y'} | tojson | '\\x7f\\u2028</script>' | tojson | (1, 2) | tojson | '😀' | tojson
'a b/c?d=é' | urlencode | {'a': 'x y', 'b': '1&2'} | urlencode | [('k', 'v'), ('q', '/')] | urlencode | 5 | urlencode | 999 | filesizeformat | 1 | filesizeformat | 1500000 | filesizeformat | 1536 | filesizeformat(true) | 0 | filesizeformat | '2048' | filesizeformat(binary=true) | {'class': 'a', 'id': none, 'x': '"'} | xmlattr | {'class': 'a'} | xmlattr(false) | {'a b': 1} | xmlattr
'%s-%03d' | format('x', 5) | '%(a)s' | format(a=1) | '%s' | format | 5 | string | length | db | pprint | mixed | pprint | quote | pprint | tables | pprint | db | attr('nope') | 'abc' | attr('upper') is callable | 5 | string + '5' | [1, 2] | string | html | e + '<' | '<' + (html | e) | html | e | upper | e | tables | nope_filter | nums | map('nope_filter') | list
""",
    "test": """
nope is defined | env is defined | nope is undefined | db.host is defined | db.nope is defined | nope is not defined | nil is none | zero is none | zero is false | no is false | yes is true | n is true | 1 is true | n is number | pi is float | n is integer | yes is integer | yes is number | yes is boolean | '5' is number | '5' is string | n is string | nil is string
db is mapping | tables is mapping | tables is sequence | db is sequence | 'abc' is sequence | n is sequence | tables is iterable | 'a' is iterable | n is iterable | range(3) is iterable | range is callable | n is callable | 'abc' is lower | 'ABC' is upper | 'Abc' is lower | n is eq 7 | n is ne 7 | n is lt 8 | n is le 7 | n is gt 7 | n is ge 7 | n is equalto 7 | n is greaterthan(3) | n is lessthan 3 | n == 7 is true | 'orders' is in tables | 'x' is in tables | n is in [7] | not n is in [7] | n is not in [7] | 'upper' is filter | 'nope' is filter | 'odd' is test | (html | e) is escaped | html is escaped | nil is sameas none | n is divisibleby(3) | n is divisibleby 0 | 'a' is odd | n is nope_test | nope is none | nope is number | none is iterable | n is odd and n is number | 1 if n is odd else 2 | n is defined and n > 3 | none is mapping | 3.0 is odd
""",
    "value": """
tables | mixed | db | rows[0] | none | [] | {} | () | (1,) | (1, 2) | [none, true, 1.0, 'a'] | {'a': {'b': [1]}} | {1: 2, none: 3, true: 4} | quote | [quote] | ["a'b\\"c"] | ['\\n\\t\\\\'] | ['\\x00\\x7f\\u200b é 日'] | {'k': nope} | [nope] | range(3) | range(1, 9, 2) | db.keys() | db.values() | db.opts.items() | [1, [2, [3]]] | true | [1e100, 1e-5, 0.1] | namespace(a=1).a | dict(a=1, b='x') | dict({'a': 1}, b=2) | dict([('a', 1)])
db.host | db['port'] | db.opts.ssl | db['opts']['retries'] | db.nope | db.nope.deeper | nope | nope.attr | nope['x'] | nope() | nope + 1 | 1 + nope | nope ~ 'x' | nope == 1 | nope == nope2 | nope != 1 | nope < 1 | not nope | nope or 'x' | nope and 'x' | 'x' in nope | nope in [1] | -nope | nope | length | nope | list | nope | upper | nope | int | nope | join(',') | nope | first | tables[0] | tables[-1] | tables[9] | tables[1:] | tables[:-1] | tables[::-1] | tables[::2] | tables.0 | tables['0'] | rows[1].name | rows[-1]['pay'] | rows.0.tags.1 | mixed[5][0] | nums[1:4:2] | nums[-2:] | nums[::0] | n.nope | n[0] | none.x | (1, 2)[1] | (1, 2, 3)[1:] | 'abc'[1] | range(10)[3] | range(10)[-1] | db.get('host') | db.get('x') | db.get('x', 5) | db.keys() | list | db.items() | list | length | 'host' in db | 'host' in db.keys() | 'x' not in db | db.pop('zz', 1) | db.copy() == db | tables.index('items') | tables.index('x') | nums.count(3) | tables == ['orders', 'items', 'users'] | [1, 2] < [1, 3] | [1, 2] + [3] | [0] * 3 | (1,) + (2,) | [1] + (2,) | {'a': 1} == {'a': 1.0} | {'a': 1} < {'b': 1} | none < 1 | none == none | [] or 'e' | {} and 1 | 'a' if none | 'a' if zero else 'b' if yes else 'c' | (1 if yes else 2) + 1 | n if n > 5 and env == 'dev' else 0 | n.bit_length() | (2.0).is_integer() | n.real.x | {'a': 1}.items() | {'items': 1}.items | length | {'x': {'y': 1}}.x.y | {[1]: 2} | {(1, 2): 3}[(1, 2)] | {1: 'a'}[1.0] | {true: 'a'}[1] | [3, 1, 2].sort() | 'x'.__class__ | ''.__class__.__mro__ | range(200000) | 5() | 'a'()
""",
}

BLOCKS = [
    ("loop", "{% for t in tables %}{{ loop.index }}:{{ t }}{% if not loop.last %}, {% endif %}{% endfor %}"),
    ("loop", "{% for k, v in db.items() %}{{ k }}={{ v }}\n{% endfor %}"),
    ("loop", "{% for k, v in unsorted | dictsort %}{{ k }}{{ v }} {% endfor %}"),
    ("loop", "{% for r in rows if r.pay > 8 %}{{ loop.index }}{{ r.name }}{{ loop.length }} {% else %}none{% endfor %}"),
    ("loop", "{% for x in [] %}x{% else %}empty{% endfor %}"),
    ("loop", "{% for x in nope %}x{% else %}empty{% endfor %}"),
    ("loop", "{% for x in none %}x{% endfor %}"),
    ("loop", "{% for x in 5 %}x{% endfor %}"),
    ("loop", "{% for a, b in [[1, 2], (3, 4)] %}{{ a + b }} {% endfor %}"),
    ("loop", "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}"),
    ("loop", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}"),
    ("loop", "{% for i in range(3) %}{% for j in range(2) %}{{ i }}{{ j }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}"),
    ("loop", "{% for i in range(3) %}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.index0 }} {% endfor %}"),
    ("loop", "{% for i in range(5) %}{{ loop.cycle('a', 'b', 'c') }}{% endfor %}"),
    ("loop", "{% for i in [1, 1, 2, 2, 1] %}{% if loop.changed(i) %}{{ i }}{% endif %}{% endfor %}"),
    ("loop", "{% for i in nums %}{{ loop.previtem | default('-') }}<{{ i }}>{{ loop.nextitem | default('-') }} {% endfor %}"),
    ("loop", "{% for n in tree recursive %}{{ n.n }}{{ loop.depth }}[{{ loop(n.kids) }}]{% endfor %}"),
    ("loop", "{% for x in 'abc' | reverse %}{{ x }}{% endfor %}"),
    ("loop", "{% for x in nums | sort if x is odd %}{{ x }}{% endfor %}"),
    ("loop", "{% for x in yes and nums or [] %}{{ x }}{% endfor %}"),
    ("loop", "{% for x in (nums if yes else []) %}{{ x }}{% endfor %}"),
    ("loop", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}"),
    ("loop", "{% set x = 0 %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}"),
    ("loop", "{% for i in [1] %}{% endfor %}[{{ i }}]"),
    ("loop", "{% for i in range(3) %}{{ i }}{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}"),
    ("loop", "{% for g in rows | groupby('dept') %}{{ g.grouper }}:{% for r in g.list %}{{ r.id }}{% endfor %} {% endfor %}"),
    ("loop", "{% for dept, list in rows | groupby('dept') %}{{ dept }}={{ list | length }} {% endfor %}"),
    ("loop", "{% for row in nums | batch(2, '-') %}{{ row | join(' ') }}\n{% endfor %}"),
    ("loop", "{{ loop }}"),
    ("loop", "{% for x in [1] %}{{ loop.nope }}{% endfor %}"),
    ("loop", "{% for x in rows %}{{ x.name }}{% for t in x.tags %}{{ loop.index }}{{ t }}{% else %}-{% endfor %}{% endfor %}"),
    ("if", "{% if env == 'prod' %}P{% elif env == 'dev' %}D{% else %}?{% endif %}"),
    ("if", "{% if n > 5 and not no %}a{% endif %}{% if nope is defined %}b{% endif %}{% if tables %}c{% endif %}"),
    ("if", "{% if no %}a{% elif no %}b{% endif %}"),
    ("if", "{% if 'ord' in table %}y{% endif %}{% if n in [1, 7] %}y{% endif %}{% if n not in nums %}y{% endif %}"),
    ("if", "{%if yes%}tight{%endif%}"),
    ("if", "{% if (yes\n  and yes) %}multi{% endif %}"),
    ("set", "{% set a = 1 %}{% set b = a + 1 %}{{ a }}{{ b }}"),
    ("set", "{% set a, b = 'x', 'y' %}{{ a }}{{ b }}"),
    ("set", "{% set a = [1, 2] %}{% set _ = a.append(3) %}{{ a }}"),
    ("set", "{% set d = {} %}{% set _ = d.update(k=1) %}{% set _ = d.setdefault('z', 2) %}{{ d }}"),
    ("set", "{% set l = [3, 1, 2] %}{% set _ = l.sort() %}{% set _ = l.insert(0, 9) %}{% set _ = l.remove(1) %}{{ l }}{{ l.pop(0) }}{% set _ = l.extend([7]) %}{% set _ = l.reverse() %}{{ l }}"),
    ("set", "{% set body %}x={{ n }}{% endset %}[{{ body }}]{{ body | length }}"),
    ("set", "{% set body | upper | replace('X', 'Y') %}x{{ env }}{% endset %}{{ body }}"),
    ("set", "{% set ns = namespace(total=0, names=[]) %}{% for r in rows %}{% set ns.total = ns.total + r.pay %}{% endfor %}{{ ns.total }}"),
    ("set", "{% set db.host = 1 %}"),
    ("set", "{% if yes %}{% set x = 1 %}{% endif %}{{ x }}"),
    ("set", "{% set n = 1 %}{{ n }}"),
    ("set", "{% set x = 1 if yes else 2 %}{{ x }}{% set t = 1, %}{{ t }}"),
    ("set", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}"),
    ("set", "{% with %}{% set q = 5 %}{{ q }}{% endwith %}{{ q }}"),
    ("set", "{% set true = 1 %}"),
    ("macro", "{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(b=1, a=0) }} {{ f() }}"),
    ("macro", "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, x=2) }}"),
    ("macro", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}"),
    ("macro", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(c=2) }}"),
    ("macro", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}"),
    ("macro", "{% macro row(r) -%}\n  {{ r.id }}:{{ r.name }}\n{%- endmacro %}{% for r in rows %}{{ row(r) }};{% endfor %}"),
    ("macro", "{% macro wrap(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call wrap('b') %}in {{ n }}{% endcall %}"),
    ("macro", "{% macro each(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) each(nums) %}[{{ x }}]{% endcall %}"),
    ("macro", "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(1) }}"),
    ("macro", "{% set g = 'glob' %}{% macro f() %}{{ g }}{% endmacro %}{{ f() }}"),
    ("macro", "{% macro f() %}x{% endmacro %}{{ f() | upper }}{{ f() ~ f() }}{{ f.name }}"),
    ("macro", "{% macro f(a=1, b) %}{% endmacro %}"),
    ("macro", "{{ f(1) }}{% macro f(x) %}{{ x }}{% endmacro %}"),
    ("macro", "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(*[5]) }}{{ f(**{'x': 6}) }}"),
    ("filterblock", "{% filter upper %}a {{ env }} {% filter replace('A', 'b') %}A{% endfilter %}{% endfilter %}"),
    ("filterblock", "{% filter indent(2) %}a\nb{% endfilter %}"),
    ("block", "{% block a %}A{{ n }}{% endblock %}{{ self.a() }}{% block b %}B{% endblock b %}"),
    ("block", "{% for i in [1, 2] %}{% block x scoped %}{{ i }}{% endblock %}{% endfor %}"),
    ("block", "{% for i in [1, 2] %}{% block x %}[{{ i }}]{% endblock %}{% endfor %}"),
    ("block", "{% block a %}{% endblock %}{% block a %}{% endblock %}"),
    ("comment", "a{# x #}b{#- y -#} c {# {{ n }} #}"),
    ("comment", "a {# multi\nline #} b"),
    ("comment", "a {# unclosed"),
    ("raw", "{% raw %}{{ n }} {% if %} {# c #}{% endraw %}"),
    ("raw", "a {%- raw -%}  {{ x }}  {%- endraw -%} b"),
    ("raw", "{% raw %}unclosed"),
    ("raw", "{{ '{{ x }}' }} {{ '{%' }}"),
    ("ws", "  {%- if yes %} a {%- endif %}  b"),
    ("ws", "{% if yes -%}\n\n  a\n\n{%- endif %}\nb"),
    ("ws", "a\n{%- for t in tables %}\n- {{ t }}\n{%- endfor %}\n"),
    ("ws", "{{- n -}}  x  {{- n }}"),
    ("ws", "a {{ n -}}\n\n b"),
    ("ws", "{%+ if yes %} a {%+ endif +%} b"),
    ("ws", "line\n\n"), ("ws", "\n"), ("ws", ""), ("ws", "a\r\nb\r\n"), ("ws", "a\rb"), ("ws", "{{ 'a\nb' }}\n\n"),
    ("ws", "{% if yes %}\n{% endif %}\n"),
    ("syntax", "{{ }}"), ("syntax", "{{ n"), ("syntax", "{% if %}{% endif %}"), ("syntax", "{% if yes %}"), ("syntax", "{% endif %}"),
    ("syntax", "{{ n + }}"), ("syntax", "{{ 'a }}"), ("syntax", "{{ n n }}"), ("syntax", "{{ (n }}"), ("syntax", "{{ n) }}"), ("syntax", "{{ [1, 2 }}"),
    ("syntax", "{% for %}{% endfor %}"), ("syntax", "{% for x in %}{% endfor %}"), ("syntax", "{% set %}"), ("syntax", "{{ n | }}"), ("syntax", "{{ n is }}"),
    ("syntax", "{{ 01 }}"), ("syntax", "{{ a.1b }}"), ("syntax", "{% else %}"), ("syntax", "{{ {1: 2, } }}"), ("syntax", "{{ [1, 2, ] }}"), ("syntax", "{{ f(a=1, 2) }}"),
    ("syntax", "{{ n ? 1 }}"), ("syntax", "{{ n! }}"), ("syntax", "{{ $x }}"), ("syntax", "{{ lambda x: x }}"), ("syntax", "{{ n is odd is even }}"), ("syntax", "{{ {'a': {'b': {}}} }}"),
    ("syntax", "{{ 1 if }}"), ("syntax", "{{ not }}"), ("syntax", "{{ a b }}"), ("syntax", "{% print 1, 2 %}"), ("syntax", "{% include 'x' %}"),
    ("syntax", "}} %} #} { } {a} ${x} $(y) # hi"), ("syntax", "{ { n } }"), ("syntax", "{{n}}{{n}}"), ("syntax", "{{ n }}}"), ("syntax", "{{{'a': 1}}}"),
    ("global", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{% set _ = c.reset() %}{{ c.next() }}"),
    ("global", "{% set j = joiner('|') %}{% for t in tables %}{{ j() }}{{ t }}{% endfor %}"),
    ("global", "{{ range(5, 0, -2) | list }}{{ range(2) | length }}{{ 2 in range(3) }}{{ range(0) | list }}"),
    ("global", "{{ dict(a=1).a }}{{ dict(a=1)['b'] | default('-') }}"),
    ("config", "tap-csv --config {{ work_dir }}/config.json | target-x --db {{ db.host }}:{{ db.port }}/{{ db.name }}"),
    ("config", "SELECT {{ csv.split(',') | map('upper') | join(', ') }} FROM {{ table }}{% if env != 'prod' %} LIMIT 10{% endif %};"),
    ("config", "{\n{% for k, v in db.items() %}  \"{{ k }}\": {{ v | tojson }}{{ ',' if not loop.last }}\n{% endfor %}}"),
    ("config", "{{ path.split('/')[-1].rsplit('.', 1)[0] ~ '_' ~ env | upper }}"),
    ("config", "aws s3 cp {{ path }} - {{ '--dryrun' if env == 'dev' }} {{ '--quiet' if no }}"),
    ("config", "--{{ {'dev': 'slow', 'prod': 'fast'}[env] }} --n={{ '%03d' % n }} --x={{ tables | first }}"),
    ("config", "{%- set date = dates[0].split('-') -%}{{ date[0] }}/{{ date[1] | int }}/{{ date[2] }}"),
]


def atoms(block):
    """Single expressions; a filter is told from the separator by the words after it."""
    words = jinja2.Environment().filters.keys() | {"nope_filter"}
    for line in block.strip().splitlines():
        buf = None
        for part in line.split(" | "):
            name = part.split("(")[0].split(" ")[0]
            if buf is not None and name in words and not part.startswith(("list(", "int(")) and part.strip():
                buf += " | " + part
                continue
            if buf is not None:
                yield buf
            buf = part
        yield buf


def run(source):
    try:
        return jinja2.Template(source).render(**json.loads(json.dumps(CTX))), None
    except Exception as e:  # the kind of error is all that is kept
        return None, f"{type(e).__name__}: {e}"


def main():
    templates = [(group, "{{ %s }}" % atom) for group, block in EXPR.items() for atom in atoms(block)] + BLOCKS
    cases, seen = [], set()
    for group, source in templates:
        if source in seen:
            continue
        seen.add(source)
        want, err = run(source)
        if want is not None and (" object at 0x" in want or " of str object" in want):
            continue  # prints an address
        cases.append({"group": group, "name": source[:60], "t": source, "want": want, "err": err})
    out = {"jinja": jinja2.__version__, "ctx": CTX, "cases": cases}
    target = pathlib.Path(__file__).with_name("more_cases.json")
    target.write_text(json.dumps(out, indent=1, ensure_ascii=True) + "\n")
    print(len(cases), "cases,", sum(c["want"] is None for c in cases), "of them errors")


if __name__ == "__main__":
    main()
