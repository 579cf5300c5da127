import pytest

from sac_gmm.tasks import make_task


@pytest.fixture(scope="module")
def door():
    task = make_task("door")
    yield task
    task.close()
