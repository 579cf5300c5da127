# Every verb sets the workspace up first; when nothing changed that takes a twentieth of a second.
#   make setup PYTHON=/path/to/python3.12   choose the Python (3.11-3.13)
#   make setup PIP_ARGS=… TORCH_INDEX_URL=… more options for pip; where torch without GPU support may be found
SHELL := bash
.SHELLFLAGS := -e -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup browser demo test lint bench faults reference docs pictures clean

SEED ?= 0
RESUME ?=
DEMO_ARGS ?=
ALL ?=
PYTEST_ARGS ?=
PYTHON ?=
PIP_ARGS ?=
TORCH_INDEX_URL ?=
export PYTHON PIP_ARGS TORCH_INDEX_URL
unexport PYTHONDONTWRITEBYTECODE # set in many containers; the tests start hundreds of processes, each would compile anew

IN_WORKSPACE := source install/setup.bash &&

help:  ## list the verbs
	@sed -nE 's/^([a-z]+):.*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## make .venv from requirements.txt, ROS 2 Jazzy included where it is missing, and build the packages
	@tools/setup

browser:  ## install Chromium where there is none, for the live page's tests and pictures; needs root and apt
	@tools/install_browser

demo: setup  ## fit, measure, adapt, measure again over ROS 2; SEED=0 chooses the seed, RESUME=1 goes on where it stopped
	@$(IN_WORKSPACE) exec sac-gmm demo --seed $(SEED) $(if $(RESUME),--resume) $(DEMO_ARGS)

test: lint  ## run all checks and all tests; PYTEST_ARGS='tests/models -k fit' runs these alone
ifeq ($(PYTEST_ARGS),)
	@# Tests of wall-clock promises have the machine for themselves. All have one further try: a machine that pauses for
	@# a second breaks a promise that the code keeps. What was tried again is told at the end.
	@# The newcomer's walk takes longest, so it begins; in the order of their tests' number it would end alone.
	$(IN_WORKSPACE) OMP_NUM_THREADS=1 python -m pytest -m 'not ros' --reruns 1 -n 2 --dist loadfile --no-loadscope-reorder tests/newcomer tests
	$(IN_WORKSPACE) OMP_NUM_THREADS=1 python -m pytest -m ros --reruns 1
else
	$(IN_WORKSPACE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_ARGS)
endif

lint: setup  ## check style, format and types
	@$(IN_WORKSPACE) failed=0; for check in "ruff check" "ruff format --check" mypy; do \
	    echo "$$check"; $$check || failed=1; \
	done; exit $$failed

faults: setup  ## break one thing after the other and write docs/faults.md
	@$(IN_WORKSPACE) FAULTS_TABLE=1 OMP_NUM_THREADS=1 python -m pytest tests/nodes/faults tests/nodes/test_lbr.py

bench: setup  ## measure ours and the peers in the same run
	@$(IN_WORKSPACE) exec sac-gmm bench

reference: setup  ## write docs/reference anew from the code
	@$(IN_WORKSPACE) python tools/reference.py

docs: setup  ## build the documentation into site/; it opens from disk
	@$(IN_WORKSPACE) python tools/results.py && NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet && echo "wrote site/index.html"

pictures: setup  ## draw the pictures of the documentation anew; needs Chromium and npm
	@$(IN_WORKSPACE) python tools/pictures.py

clean:  ## remove what was built; ALL=1 removes .venv too; runs/ stays
	rm -rf build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis site $(if $(ALL),.venv)
