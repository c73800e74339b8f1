# SPDX-License-Identifier: Apache-2.0
"""Jinja2 with the settings of transformers' apply_chat_template, and what a template gives with them: shared by
make_jinja.py and compare_jinja.py. Needs jinja2 3.1.6."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = datetime.datetime(2024, 1, 2, 3, 4, 5)  # a Tuesday; tests/jinja/json_values.hpp has the same


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}, which prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("print_body"), [], [], body).set_lineno(line)

    def print_body(self, caller):
        return caller()


class Namespace(jinja2.utils.Namespace):
    """A namespace without attributes that begin with an underscore."""

    def __init__(*args, **kwargs):
        attributes = dict(*args[1:], **kwargs)
        for name in attributes:
            Namespace.require_public(name)
        jinja2.utils.Namespace.__init__(args[0], attributes)

    def __setitem__(self, name, value):
        Namespace.require_public(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def require_public(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


class Raised(jinja2.exceptions.TemplateError):
    """What the template said with raise_exception."""


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    env.globals["namespace"] = Namespace
    return env


def outcome(env, template, variables):
    """{"text": ...}, {"raised": message} or {"refused": Jinja2's words}."""
    try:
        compiled = template if isinstance(template, jinja2.Template) else env.from_string(template)
        return {"text": compiled.render(**variables)}
    except Raised as error:
        return {"raised": str(error)}
    except Exception as error:  # a template may fail in any way that Python can
        return {"refused": f"{type(error).__name__}: {error}"}
