"""The page of a report: what goes in stands in it, escaped, and it needs nothing else."""

import re

import pytest

from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.report.page import Page

SAID = """a <b>bold</b> & "quoted" 'text'"""
ESCAPED = "a &lt;b&gt;bold&lt;/b&gt; &amp; &#34;quoted&#34; &#39;text&#39;"


@pytest.fixture
def written(tmp_path):
    def write(page: Page) -> str:
        page.write(tmp_path / "page.html")
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


def test_all_text_is_escaped(written):
    page = Page(SAID, SAID)
    page.section(SAID)
    page.text(SAID)
    page.picture(b"data", SAID)
    page.table([SAID], [[SAID]])
    page.outcomes(SAID, [(True, SAID)])
    page.configuration({SAID: SAID})
    text = written(page)
    assert text.count(ESCAPED) == 14 and "<b>bold" not in text and "&amp;lt;" not in text


def test_sections_are_listed_at_the_top(written):
    page = Page("Title")
    page.section("One")
    page.section("Two")
    text = written(page)
    assert '<nav><a href="#s1">One</a> · <a href="#s2">Two</a></nav>' in text
    assert text.index('<h2 id="s1">One</h2>') < text.index('<h2 id="s2">Two</h2>')


def test_a_rate_is_drawn_and_written(written):
    page = Page("Title")
    page.table(("skill", "success"), [("ours", SuccessRate(43, 50))])
    bar = (
        r'<i style="left:73\.8%;width:19\.2%"></i><b style="left:86\.0%"></b></span>43/50 = 86 % \[74-93\]</span></td>'
    )
    assert re.search(bar, written(page))


def test_a_square_stands_for_each_episode(written):
    page = Page("Title")
    page.outcomes("adapted", [(True, "episode 7"), (False, "episode 8")])
    text = written(page)
    assert "<p>adapted: 1/2 = 50 %" in text
    assert '<span class="yes" title="episode 7"></span><span class="no" title="episode 8"></span>' in text


def test_nested_values_are_listed_by_their_paths(written):
    page = Page("Title")
    page.configuration({"skill": {"interval": 8, "image": None}, "task": "door"})
    text = written(page)
    for path, value in (("skill.interval", "8"), ("skill.image", "null"), ("task", "door")):
        assert f"<tr><td>{path}</td><td>{value}</td></tr>" in text
