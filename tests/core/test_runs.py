"""The folder of a run: the log of its episodes, and what it was started with."""

import json

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.core.runs import EpisodeLog, check_same_values

FIRST, SECOND = {"mode": "base", "success": True}, {"mode": "train", "success": False}


@pytest.fixture
def log(tmp_path) -> EpisodeLog:
    log = EpisodeLog(tmp_path / "episodes.jsonl", ("mode", "success"))
    log.append(FIRST)
    log.append(SECOND)
    return log


def read(log: EpisodeLog) -> list:
    again = EpisodeLog(log.path, ("mode", "success"))
    again.read()
    return again.episodes


def test_what_was_appended_is_read_and_counted_by_mode(log):
    assert read(log) == log.episodes == [FIRST, SECOND]
    assert log.path.read_text() == json.dumps(FIRST) + "\n" + json.dumps(SECOND) + "\n"
    assert log.of("train") == [SECOND] and log.count("base") == 1 and log.count("evaluate") == 0
    assert not log.read(), "what one has appended oneself is no news"


def test_a_log_that_is_not_there_has_no_episodes(tmp_path):
    log = EpisodeLog(tmp_path / "episodes.jsonl")
    assert not log.read() and log.episodes == []


def test_a_last_line_that_was_cut_is_read_once_it_is_whole(log):
    follower = EpisodeLog(log.path)
    assert follower.read() and not follower.read()
    line = json.dumps(FIRST) + "\n"
    with log.path.open("a") as file:
        file.write(line[:7])
        file.flush()
        assert not follower.read()
        file.write(line[7:])
    assert follower.read() and follower.episodes == [FIRST, SECOND, FIRST]


def test_a_log_that_became_shorter_is_read_anew(log):
    follower = EpisodeLog(log.path)
    follower.read()
    log.rewrite([SECOND])
    assert follower.read() and follower.episodes == [SECOND] == log.episodes == read(log)
    log.append(FIRST)
    assert follower.read() and follower.episodes == [SECOND, FIRST] == read(log)


def test_a_log_that_is_put_aside_leaves_an_empty_one(log):
    aside = log.put_aside()
    assert aside.name == "episodes.jsonl-1" and aside.read_text().count("\n") == 2
    log.append(SECOND)
    assert read(log) == log.episodes == [SECOND]


@pytest.mark.parametrize("line", ["[1]", '{"mode": "base"}', "{", "\xff"])
def test_what_is_not_an_episode_is_refused_with_its_line(log, line):
    with log.path.open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="line 3 must be a JSON object with mode, success"):
        read(log)


def test_other_values_are_named_with_what_they_were(tmp_path):
    before = {"seed": 0, "settings": {"lr": 0.1, "steps": 3}, "git": "abc"}
    check_same_values(tmp_path, before, {"seed": 0, "settings": {"lr": 0.1}})
    with pytest.raises(UserError, match=r"of: seed \(was 0, now 1\); settings\.lr \(was 0\.1, now 0\.2\);"):
        check_same_values(tmp_path, before, {"seed": 1, "settings": {"lr": 0.2, "steps": 3}})


def test_what_was_not_recorded_differs_unless_it_may_be_newer(tmp_path):
    check_same_values(tmp_path, {"seed": 0}, {"seed": 0, "reach": 1.0}, recorded_only=True)
    with pytest.raises(UserError, match=r"reach \(was not recorded, now 1\.0\)"):
        check_same_values(tmp_path, {"seed": 0}, {"seed": 0, "reach": 1.0})
