import pytest

from sac_gmm.cli.main import main
from sac_gmm.launcher import running_graph
from sac_gmm.training.seeds import SEED_BANKS


@pytest.mark.parametrize(("mode", "bank"), [("base", "base"), ("train", "train"), ("evaluate", "test")])
def test_what_is_measured_is_never_trained_on(monkeypatch, capsys, mode, bank):
    asked = []

    def events(*request):
        asked.append(request)
        yield {"event": "missing", "text": "waiting for the robot"}
        yield {"event": "episode", "success": True, "reward_source": "lamp"}

    monkeypatch.setattr(running_graph, "events", events)
    assert main(["adapt", "--mode", mode, "--episodes", "1"]) == 0
    assert asked == [(mode, 1, SEED_BANKS[bank])]
    said = capsys.readouterr().out
    assert "nothing moves: waiting for the robot" in said and "1/1 episodes succeeded" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--episodes", "0"], "--episodes is 0: ask for at least one"),
        (["--episodes", "20000"], "holds 10000 episodes"),
        (["--json", "nowhere/at/all.json"], "there is no folder"),
    ],
)
def test_bad_input_is_one_sentence(capsys, options, words):
    assert main(["adapt", *options]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
