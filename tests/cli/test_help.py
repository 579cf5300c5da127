"""The help of every command: what it does, an example to copy that is right, a text and a unit for every option."""

import re

import pytest

from sac_gmm.cli.completion import all_options
from sac_gmm.cli.main import main

OPTIONS = all_options()
COMMANDS = sorted(set(OPTIONS) - {""})
# Ends of names, and words of texts, that say what a number counts in.
UNIT_IN_NAME = re.compile(r"-(s|m|hz|px|rad|m-s|mm|seconds|minutes|hours)$")
UNIT_IN_TEXT = re.compile(r"\b(m|s|Hz|rad|metres|seconds|minutes|pixels|degrees|radians|0 to 1|samples a second)\b")


def printed(capsys, words):
    capsys.readouterr()
    try:
        main([*words.split(), "--help"])
    except SystemExit as end:
        assert end.code == 0, words
    return capsys.readouterr().out


@pytest.mark.parametrize("words", COMMANDS)
def test_it_says_what_it_does_and_how_it_is_called(capsys, words):
    said = printed(capsys, words)
    examples = list(re.finditer(rf"^\s*(?:\$ |   )(sac-gmm {words}(?: .*)?)$", said, re.MULTILINE))
    assert examples, f"no example in:\n{said[:1500]}"
    for example in examples:
        path = max((other for other in OPTIONS if example[1].startswith(f"sac-gmm {other}")), key=len)
        known = {flag for option in OPTIONS[path] for flag in option.flags}
        used = set(re.findall(r"(?<= )--?[a-z][\w-]*", example[1].split(" > ")[0]))
        assert used <= known, f"{example[1]}: there is no {', '.join(used - known)}"
    before = said[: examples[0].start()]
    assert re.search(r"^[A-Z][^\n]{15,}[.:]", before, re.MULTILINE), "what it does comes first"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_has_a_text_of_its_own_and_a_number_its_unit(words):
    texts = {}
    for option in OPTIONS[words]:
        name = option.flags[0]
        if "--help" in option.flags or not name.startswith("--") or not option.text:
            continue
        kind, _, text = option.text.rpartition(" • ")
        meaning = re.sub(r"\(default: .*\)|\(required\)", "", text).strip()
        assert len(meaning) > 3, f"{words} {name} says nothing of what it is"
        assert meaning not in texts, f"{words} {name} has the text of {texts[meaning]}"
        texts[meaning] = name
        if "FLOAT" in kind:
            assert UNIT_IN_NAME.search(name) or UNIT_IN_TEXT.search(meaning), f"{words} {name}: in which unit?"
