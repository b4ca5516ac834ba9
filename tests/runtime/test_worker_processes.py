import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restorekit.runtime.worker_processes import worker_processes

pytestmark = pytest.mark.slow

WAITING = """
import os, time
from restorekit.runtime.worker_processes import worker_processes

if __name__ == "__main__":
    processes = worker_processes(1)
    print(processes.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_work_is_done_elsewhere_and_ctrl_c_does_not_end_it() -> None:
    with worker_processes(1) as processes:
        worker = processes.submit(os.getpid).result()
        processes.submit(signal.raise_signal, signal.SIGINT).result()
        assert processes.submit(os.getpid).result() == worker != os.getpid()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="sees in /proc whether a process has ended")
def test_workers_end_with_the_process_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
        until = time.monotonic() + 30
        while is_running(worker):
            assert time.monotonic() < until
            time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # a zombie has ended
    except FileNotFoundError:
        return False
