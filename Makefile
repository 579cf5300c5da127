# Every verb sets the workspace up first; when nothing changed that takes a twentieth of a second.
#   make setup PYTHON=/path/to/python3.12   choose the Python (3.11-3.13)
#   make setup GPU=1                        torch with its GPU libraries
#   make setup PIP_ARGS=… TORCH_INDEX_URL=… more options for pip; another place to find torch
SHELL := bash
.SHELLFLAGS := -e -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup browser demo test newcomer lint bench faults reference docs pictures clean

SEED ?= 0
RESUME ?=
DEMO_ARGS ?=
ALL ?=
PYTEST_ARGS ?=
WALK_ARGS ?=
PYTHON ?=
PIP_ARGS ?=
TORCH_INDEX_URL ?=
GPU ?=
export PYTHON PIP_ARGS TORCH_INDEX_URL GPU
unexport PYTHONDONTWRITEBYTECODE # set in many containers; the tests start hundreds of processes, each would compile anew

IN_WORKSPACE := source install/setup.bash &&
SIDE_BY_SIDE := python -m pytest --dist loadfile

help:  ## list the verbs
	@sed -nE 's/^([a-z]+):.*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup:  ## make .venv from requirements.txt, ROS 2 Jazzy included where it is missing, and build the packages
	@tools/setup

browser:  ## install Chromium where there is none, for the live page's tests and pictures; needs root and apt
	@tools/install_browser

demo: setup  ## fit, measure, adapt, measure again over ROS 2; SEED=0 chooses the seed, RESUME=1 goes on where it stopped
	@$(IN_WORKSPACE) exec sac-gmm demo --seed $(SEED) $(if $(RESUME),--resume) $(DEMO_ARGS)

test: lint  ## run all checks and all tests; PYTEST_ARGS='tests/models -k fit' runs these alone
ifeq ($(PYTEST_ARGS),)
	@# Two halves: tests marked `ros` keep a wall clock and mostly wait, so three run at a time; the others mostly compute, so
	@# two do. Both halves run, whatever becomes of the first. The clone of tests/newcomer takes longest, so it begins.
	@$(IN_WORKSPACE) export OMP_NUM_THREADS=1; trap 'exit 130' INT; failed=; \
	$(SIDE_BY_SIDE) -n 2 -m 'not ros' --no-loadscope-reorder tests/newcomer tests || failed+=" 'not ros'"; \
	$(SIDE_BY_SIDE) -n 3 -m ros || failed+=" 'ros'"; \
	test -z "$$failed" || { echo "make test: failures among the tests marked$$failed, listed above" >&2; exit 1; }
else
	$(IN_WORKSPACE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_ARGS)
endif

newcomer:  ## follow README and tutorials in a fresh clone, from set-up to `make test`; WALK_ARGS=--quick leaves out the long parts
	@python3 tests/newcomer/walk.py $(WALK_ARGS)

lint: setup  ## check style, format and types
	@$(IN_WORKSPACE) failed=0; for check in "ruff check" "ruff format --check" mypy; do \
	    echo "$$check"; $$check || failed=1; \
	done; exit $$failed

faults: setup  ## break one thing after the other and write docs/faults.md
	@$(IN_WORKSPACE) FAULTS_TABLE=1 OMP_NUM_THREADS=1 python -m pytest tests/nodes/faults tests/nodes/test_lbr.py tests/nodes/robot/test_home_reset.py

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
