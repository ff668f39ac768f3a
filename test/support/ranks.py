"""Start a script as the processes of one job, as `torchrun` does."""

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240


@contextmanager
def started(script: Path, *arguments: object, processes: int) -> Iterator[None]:
    """Run `script` beside what the block does; at its end all must have ended well."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--no-python']
    command += ['--nproc-per-node', str(processes), sys.executable, str(script)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    with subprocess.Popen([*command, *map(str, arguments)], cwd=ROOT, env=environment) as job:
        try:
            yield
            code = job.wait(DEADLINE_S)
        finally:
            job.terminate()
    assert code == 0, f'{script.name} ended with {code}'
