"""What a provider's file says to people: in their language, and only where the finding's rule is about it."""

from __future__ import annotations

import pytest

from monitor.errors import ConfigurationError
from monitor.providers import catalogue
from monitor.providers.phrases import Phrases, phrases, setting_in_words, setting_of
from monitor.providers.schema import Words

MORE = """
[settings.trusted]
title = { en = "App access control", de = "App-Zugriffssteuerung" }
page = "https://admin.example.com/apps"
do = "Set this app to “Trusted”."
[settings.bare]
title = "Session length"

[words]
leads_to = { en = "the sign-in page", fr = "la page de connexion" }
check = "Tick every box.\\nAll of them."

[[rules]]
step = "refresh"
description = "rapt"
cause = "policy_blocked"
setting = "trusted"
[[rules]]
step = "callback"
error = "app_blocked"
cause = "policy_blocked"
setting = "bare"
"""


@pytest.fixture
def provider(tmp_path):
    path = tmp_path / "mine.toml"
    text = catalogue.built_in()["clio"].read_text().partition("[words]")[0]
    path.write_text(text + MORE)
    return catalogue.load_file(path)


def test_texts_are_in_the_readers_language_or_english_and_one_line(provider):
    german, french = phrases(provider, "de", "clio.rules[1]"), phrases(provider, "fr", "clio.rules[1]")
    assert german.setting == "App-Zugriffssteuerung" and french.setting == "App access control"
    assert (german.leads_to, french.leads_to) == ("the sign-in page", "la page de connexion")
    assert german.check == "Tick every box. All of them."
    assert german.setting_page == "https://admin.example.com/apps"


@pytest.mark.parametrize(
    "rule", ["", "none", "clio.rules[0]", "clio.rules[9]", "other.rules[1]", "rfc6749.client"]
)
def test_a_rule_that_is_about_no_setting_names_none(provider, rule):
    said = phrases(provider, "en", rule)
    assert (said.setting, said.setting_do, said.setting_page) == ("", "", "")
    assert setting_of(provider, rule) is None and setting_in_words(provider, rule) == ""


def test_a_setting_of_a_title_alone_is_enough(provider):
    assert setting_in_words(provider, "clio.rules[2]") == "Session length."
    assert setting_in_words(provider, "clio.rules[1]") == (
        "App access control. Set this app to “Trusted”. https://admin.example.com/apps"
    )


def test_a_file_without_words_says_nothing(provider):
    wordless = provider.model_copy(update={"words": Words()})
    assert phrases(wordless, "en", "clio.rules[0]") == Phrases()


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('error = "x"\nstatus = 400', "has error and description alone, no status"),
        ('error = "x"\ntext = "y"', "has error and description alone, no text"),
        ('cause = "revoked"\nerror = "x"', "goes with cause = 'policy_blocked' alone"),
    ],
)
def test_a_rule_for_the_callback_names_what_a_browser_brings(tmp_path, rule, says):
    path = tmp_path / "mine.toml"
    cause = "" if "cause" in rule else 'cause = "policy_blocked"\n'
    text = catalogue.built_in()["clio"].read_text()
    path.write_text(f'{text}\n[[rules]]\nstep = "callback"\n{cause}{rule}\n')
    with pytest.raises(ConfigurationError) as caught:
        catalogue.load_file(path)
    assert says in str(caught.value) and "line " in str(caught.value)
