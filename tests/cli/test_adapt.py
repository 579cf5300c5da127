import pytest

from sac_gmm.cli.main import main


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
