"""An agency's own mail template that reaches out, loops or eats memory costs its own mail and nothing else."""

from __future__ import annotations

import tracemalloc

import pytest

from alerts.mails.compose import Brand, Composer
from alerts.mails.samples import sample
from alerts.mails.standing import KINDS
from monitor.errors import ConfigurationError
from tests.conftest import START

MEMORY = 64 * 1024 * 1024
BAD = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops over a text": "{% set t = 'x' * 99999 %}{% for a in t %}{% for b in t %}{% endfor %}{% endfor %}",
    "writes without end": "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    "multiplies a text": "{{ 'x' * 10**10 }}",
    "multiplies a list": "{{ ([0] * 10**9)|length }}",
    "a huge power": "{{ 10 ** (10 ** 10) }}",
    "a range without end": "{{ range(10**12)|list }}",
    "doubles by ~": "{% set n = namespace(x='x') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubles by +": "{% set n = namespace(x='x') %}{% for a in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubles by a block": "{% set n = namespace(x='x') %}{% for a in range(60) %}"
    "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
    "pads": "{{ 'x'.ljust(10**10) }}",
    "pads by a filter": "{{ 'x'|center(10**10) }}",
    "indents by a filter": "{{ 'x\ny'|indent(10**10) }}",
    "a wide format": "{{ '{:>10000000000}'.format(1) }}",
    "a wide format by %": "{{ '%10000000000d' % 1 }}",
    "a wide format by a filter": "{{ '%10000000000d'|format(1) }}",
    "replaces": "{{ ('x' * 9999).replace('x', 'y' * 9999) }}",
    "replaces by a filter": "{{ ('x' * 9999)|replace('x', 'y' * 9999) }}",
    "joins": "{{ ('y' * 9999).join(('x' * 9999)|list) }}",
    "calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "includes itself": "{% include 'kinds/revoked/body.txt' %}",
    "reaches out": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "reaches a function's globals": "{{ _.__globals__ }}",
    "changes what it is given": "{{ items.clear() }}",
    "raises": "{{ 1 // 0 }}",
    "is no template": "{% if %}",
    "is endless": "x" * 300_000,
}


def composer(folder, name: str, text: str) -> Composer:
    path = folder / "kinds" / "revoked" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return Composer(Brand("Agency"), folder)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["body.txt"])
def test_a_bad_template_is_its_own_mails_fault_in_one_sentence_with_bounded_memory(tmp_path, name, text):
    mails = composer(tmp_path, name, text)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigurationError, match="this mail template cannot be used") as caught:
            sample(mails, "revoked", "en", START)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert sample(mails, "refresh_expired", "en", START).subject, "the other mails are written"


@pytest.mark.parametrize(
    "text",
    [
        "<mj-section><mj-column><mj-text>{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
        "{% endfor %}</mj-text></mj-column></mj-section>",
        "<!--% for a in range(99999) %--><!--% for b in range(99999) %--><!--% endfor %--><!--% endfor %-->",
        "<!--= ''.__class__.__mro__[1].__subclasses__() =-->",
        "<!--= 'x' * 10**10 =-->",
    ],
)
def test_what_joins_mjml_is_sandboxed_and_bounded_too(tmp_path, text):
    mails = composer(tmp_path, "body.mjml", text)
    with pytest.raises(ConfigurationError, match="this mail template cannot be used"):
        sample(mails, "revoked", "en", START)


def test_every_mail_of_ours_is_far_within_the_bounds(monkeypatch):
    monkeypatch.setattr("alerts.mails.bounds.STEPS", 5_000)
    monkeypatch.setattr("alerts.mails.bounds.LONGEST", 200_000)
    for kind in KINDS:
        assert sample(Composer(Brand("Agency")), kind, "de", START).html
