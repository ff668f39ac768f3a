# make demo       nodes detect people and vehicles in thermal video
# make test       linters, type checks, tests
# make test-slow  what takes minutes: networks of full size through every run-time
# make setup      only the virtual environment .venv, which the others make too
#
# Variables: TORCH='torch==2.13.0'  pip requirement of torch, to choose a CPU or a CUDA build (kept once chosen)
#            PYTHON=/path/python    interpreter to build .venv with (default: found, 3.11 or newer)
#            BAG=folder MODEL=name  what make demo replays, and with which model

TORCH ?=
PYTHON ?=
BAG ?=
MODEL ?=

# Set by the ROS wheels of another virtual environment; inherited, it would load that one's libraries.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: demo test setup lint test-slow test-launch clean help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

setup:
	@command -v '$(or $(PYTHON),python3)' >/dev/null || \
	  { echo 'python3 is missing: apt-get install python3 python3-venv' >&2; exit 1; }
	@'$(or $(PYTHON),python3)' scripts/set_up --torch '$(TORCH)' --python '$(PYTHON)'

demo: setup
	@.venv/bin/thermal-perception demo $(if $(BAG),--bag '$(BAG)') $(if $(MODEL),--model '$(MODEL)')

lint: setup
	@.venv/bin/python -m ruff check --quiet .
	@.venv/bin/python -m mypy --no-error-summary

# Two processes, each with one thread for PyTorch: threads that wait for others' cores are slower than none.
test: lint
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist worksteal

test-slow: setup
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist worksteal -m slow

test-launch: setup
	@.venv/bin/python scripts/test_launch.py

clean:
	rm -rf .venv .set_up.lock build install log demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
