"""A training that hangs ends its process, whatever it hangs in, and goes on when it is run again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from configs.training import Training
from tasks.limit import limited

ROOT = Path(__file__).parents[2]
HANGS = {
    "waits": "time.sleep(600)",
    "holds the interpreter": "ctypes.PyDLL(None).sleep(600)",  # no other thread of Python gets a turn
}
SCRIPT = """\
import ctypes, logging, sys, time
from pathlib import Path

import torch

from configs.training import Training
from models.data.batches import Labelled
from models.networks.inputs import Encoded
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings
from tasks.limit import limited


class Network(torch.nn.Linear):
    num_steps = 0

    def forward(self, numbers):
        self.num_steps += self.training
        if self.num_steps == {hangs_at}:
            {hang}
        return super().forward(numbers).squeeze(1)


logging.basicConfig(format="%(message)s", level=logging.INFO, force=True)
torch.manual_seed(0)
numbers = torch.randn(400, 3)
rows = Labelled(Encoded((numbers,)), (numbers[:, 0] > 0).float())
with limited(Training(stall_minutes={stall_minutes})) as on_pulse:
    fit(
        Network(3, 1), objective("binary"), rows, None, FitSettings(2, 50, accelerator="cpu"),
        checkpoint=Path(sys.argv[1]), save_every=2, on_pulse=on_pulse,
    )
print("done")
"""


def run(
    folder: Path, hangs_at: int, hang: str = "pass", stall_minutes: float = 0.02
) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(hangs_at=hangs_at, hang=hang, stall_minutes=stall_minutes)
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", HANGS)
def test_a_training_that_hangs_ends_its_process_and_goes_on_when_it_is_run_again(how: str, tmp_path: Path) -> None:
    stuck = run(tmp_path, hangs_at=6, hang=HANGS[how])
    assert stuck.returncode == 1
    assert "done" not in stuck.stdout
    assert "Timeout" in stuck.stderr
    assert 'File "<string>", line 21 in forward' in stuck.stderr  # where it hangs
    is_said = "no step of the training was made in 0.02 minutes" in stuck.stderr
    assert is_said == (how == "waits")
    again = run(tmp_path, hangs_at=0, stall_minutes=1)
    assert again.returncode == 0, again.stderr
    assert "was ended after 4 steps" in again.stderr
    assert again.stdout == "done\n"


@pytest.mark.slow
def test_only_silence_ends_a_process(tmp_path: Path) -> None:
    script = (
        "import time\n"
        "from configs.training import Training\n"
        "from tasks.limit import limited\n"
        "with limited(Training(stall_minutes=0.02), start_seconds=60) as tell:\n"
        "    time.sleep(4)\n"  # before the first step there is more time
        "    for _ in range(4):\n"
        "        tell()\n"
        "        time.sleep(1)\n"
        "time.sleep(4)\n"  # afterwards nothing is awaited
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_several_devices_have_processes_of_their_own_that_are_ended(capfd: pytest.CaptureFixture[str]) -> None:
    with limited(Training(devices=2, stall_minutes=1e-4), start_seconds=0) as tell:
        tell()
        time.sleep(0.1)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/null"])
def test_a_process_without_an_open_stderr_ends_too(closing: str) -> None:
    script = (
        "import time\n"
        "from configs.training import Training\n"
        "from tasks.limit import limited\n"
        "with limited(Training(stall_minutes=0.001), start_seconds=0) as tell:\n"
        "    tell()\n"
        "    time.sleep(60)\n"
    )
    command = ["sh", "-c", f'"$0" -c "$1" {closing}', sys.executable, script]
    assert subprocess.run(command, cwd=ROOT, timeout=50).returncode == 1
