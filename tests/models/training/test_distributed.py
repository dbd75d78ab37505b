"""Several processes train one network: each row is seen once an epoch, and all end with the same weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

SCRIPT = '''
import json, logging, os, sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from models.data.batches import Labelled
from models.networks.inputs import Encoded
from models.training.fit import fit
from models.training.settings import FitSettings, Hooks
from models.training.objectives import objective

FOLDER = Path(sys.argv[1])
NUM_ROWS = 204


class Writing(nn.Module):
    """Writes down which rows it has seen in training, and with which weights it ended."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(2, 1)

    def forward(self, numbers):
        if self.training:
            with (FOLDER / f"seen-{os.environ.get('LOCAL_RANK', 'alone')}").open("a") as file:
                print(*[int(number) for number in numbers[:, 1].tolist()], file=file)
        return self.layer(numbers * torch.tensor([1.0, 0.0])).squeeze(1)

    def train(self, mode=True):
        if not mode:
            weights = [float(number) for weight in self.parameters() for number in weight.detach().flatten()]
            (FOLDER / f"weights-{os.environ.get('LOCAL_RANK', 'alone')}").write_text(json.dumps(weights))
        return super().train(mode)


def pull(network):
    return 0.01 * network.layer.weight.square().sum()


def rows(num_rows):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.stack([torch.randn(num_rows, generator=generator), torch.arange(num_rows).float()], dim=1)
    return Labelled(Encoded((numbers,)), (numbers[:, 0] > 0.3).float())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    told = []
    hooks = Hooks(penalty=pull)
    settings = FitSettings(3, 20, 0.05, patience=3, ema_decay=0.5, accelerator="cpu", precision="32")
    settings = replace(settings, devices=int(sys.argv[2]))
    network = Writing()
    checkpoint = FOLDER / "state" if len(sys.argv) > 3 else None
    if checkpoint:
        life = int(sys.argv[3])

        def numbers(epoch):
            told.append(epoch)
            if len(told) == life:
                os.killpg(0, 9)
    fitted = fit(network, objective("binary"), rows(NUM_ROWS), rows(50), settings, hooks,
                 on_epoch=numbers if checkpoint else told.append, checkpoint=checkpoint, save_every=4)
    weights = [float(number) for weight in network.parameters() for number in weight.detach().flatten()]
    result = {"history": fitted.history, "told": told, "weights": weights, "num_passes": fitted.num_passes}
    print("RESULT" + json.dumps(result))
'''


def trained(folder: Path, num_devices: int, *further: str) -> tuple[dict[str, Any], str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(num_devices), *further],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        start_new_session=True,
    )
    if done.returncode == -9:
        return {}, done.stderr
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return json.loads(line.removeprefix("RESULT")), done.stderr


def seen(folder: Path, rank: int | str) -> list[list[int]]:
    return [[int(row) for row in line.split()] for line in (folder / f"seen-{rank}").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_see_each_row_once_an_epoch_and_end_as_one_would(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    two, said = trained(tmp_path / "two", 2)
    one, _ = trained(tmp_path / "one", 1)
    first, second = (seen(tmp_path / "two", rank) for rank in (0, 1))
    assert len(first) == len(second) == 3 * 11
    for epoch in range(3):
        steps = slice(11 * epoch, 11 * (epoch + 1))
        assert sorted(row for step in (*first[steps], *second[steps]) for row in step) == list(range(204))
    alone = seen(tmp_path / "one", "alone")
    assert [sorted(mine + theirs) for mine, theirs in zip(first, second, strict=True)] == [sorted(s) for s in alone]
    ends = [json.loads((tmp_path / "two" / f"weights-{rank}").read_text()) for rank in (0, 1)]
    assert ends[0] == ends[1]
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-5)
    assert two["told"] == two["history"]
    assert two["num_passes"] == one["num_passes"] == 3 * 204
    for mine, theirs in zip(two["history"], one["history"], strict=True):
        assert mine["validation_loss"] == pytest.approx(theirs["validation_loss"], abs=1e-5)
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)
    assert len(re.findall(r"training epoch 3/3  loss", said)) == 1


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on_to_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, _ = trained(tmp_path / "whole", 2)
    assert trained(tmp_path / "killed", 2, "1")[0] == {}
    before = len(seen(tmp_path / "killed", 0))
    resumed, _ = trained(tmp_path / "killed", 2, "0")
    assert resumed["weights"] == whole["weights"]
    assert len(seen(tmp_path / "killed", 0)) - before < 33  # steps
