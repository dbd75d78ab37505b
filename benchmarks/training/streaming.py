"""One pass over a table ten times larger than the memory of the process that trains on it.

The kernel sets the bound: once all is imported, and a training of a few rows has loaded what is loaded late, the
process may grow by `allowed_mib` of writable memory (RLIMIT_DATA) and no more. An allocation beyond that fails, and
the run with it. All that training takes lies within: reading, blocks of rows, the network, activations, optimizer, and
the encoder that is fitted in pieces before. RLIMIT_AS would count the address space of the libraries, hundreds of times
what they use; the peak of resident memory is reported beside it. The size of the table is that of its Parquet file,
compressed, which is less than it takes in memory.

The default network trains on batches of 8,192 rows by `models.training.fit.fit`. The rate of the stream is that of the
whole call, with reading, decoding, encoding and counting rows; that of the same pass over rows that lie encoded in
memory is of a whole call too, in a process without a bound, before and after the streamed pass. `streaming_ratio` is
the rate of the stream against the mean of its two neighbours. A quick run has batches of 1,024, and a table only twice
as large as its memory.

Where other work keeps the cores busy, set OMP_NUM_THREADS=1: threads of torch that wait for one another by spinning are
many times slower there.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from benchmarks.training.tables import CATEGORIES, MIB, NUMBERS, Memory, in_a_process, one_pass, warm_up, write
from models.data.batches import Labelled, Rows
from models.data.learning import fit_in_pieces
from models.data.streaming import Streamed
from models.data.table import Table
from models.features.encoder import Encoder
from models.features.target import Target
from models.networks.inputs import joined
from models.networks.mlp import MLP
from models.training.settings import seeded

BYTES_A_ROW = 120  # of the file, a little less than it has
SAMPLE_ROWS = 20_000  # for the encoder, so that it fits too


@dataclass(frozen=True)
class Size:
    """Memory allowed in all and to the stream, how much larger the table is, batch, rows in memory, and passes."""

    allowed_mib: int
    stream_mib: int
    times_larger: int
    batch_size: int
    rows_in_memory: int
    num_repeats: int


QUICK = Size(64, stream_mib=16, times_larger=2, batch_size=1_024, rows_in_memory=300_000, num_repeats=1)
FULL = Size(256, stream_mib=32, times_larger=10, batch_size=8_192, rows_in_memory=600_000, num_repeats=1)
# glibc keeps freed memory in an arena for every thread, and pyarrow's mimalloc reserves 1 GiB. No more is set: where
# glibc has to give all back at once, each step has its activations mapped and zeroed anew, and takes twice as long.
FRUGAL = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
# The bound counts a whole stack for each thread, 8 MiB by default, of which hardly anything is used; torch starts as
# many threads as there are cores, once for the training and once more for the thread that reads.
STACK_KIB = 1_024


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Write the table, stream it in a process with a bound, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        path, num_rows = Path(folder) / "table.parquet", size.times_larger * size.allowed_mib * MIB // BYTES_A_ROW
        say(f"writing {num_rows:,} rows")
        num_bytes = write(path, num_rows)
        arguments = {"path": str(path), **asdict(size)}

        def measured(kind: str) -> dict[str, Any]:
            bounds = (FRUGAL, STACK_KIB) if kind == "stream" else (None, None)
            found = in_a_process("benchmarks.training.streaming", {"kind": kind} | arguments, *bounds)
            say(f"{kind}: {found['rows_per_second']:,.0f} rows/s, {found['peak_mib']:.0f} MiB")
            return found

        resident, streamed = [measured("memory")], []
        for _ in range(size.num_repeats):
            streamed.append(measured("stream"))
            resident.append(measured("memory"))
    rates = [each["rows_per_second"] for each in resident]
    ratios = [each["rows_per_second"] / mean(rates[place : place + 2]) for place, each in enumerate(streamed)]
    return {
        "streaming_ratio": median(ratios),
        "rows": num_rows,
        "table_mib": num_bytes / MIB,
        "allowed_mib": size.allowed_mib,
        "table_to_memory": num_bytes / MIB / size.allowed_mib,
        "batch_size": size.batch_size,
        "threads": streamed[0]["threads"],
        "peak_mib": max(each["peak_mib"] for each in streamed),
        "fit_encoder_seconds": median(each["fit_encoder_seconds"] for each in streamed),
        "rows_per_second": {"streamed": [each["rows_per_second"] for each in streamed], "in_memory": rates},
        "ratios": ratios,
        "loss": {"streamed": streamed[-1]["loss"], "in_memory": resident[-1]["loss"]},
    }


def measure(kind: str, path: Path, size: Size) -> dict[str, Any]:
    """One pass, streamed within the bound or over rows in memory."""
    warm_up()
    table, memory = Table(path, "label", "event_time"), Memory()
    if kind == "stream":
        memory.allow(size.allowed_mib * MIB)
    begun = time.monotonic()
    encoder, target = fit_in_pieces(
        table, NUMBERS, CATEGORIES, "binary", sample_rows=SAMPLE_ROWS, memory=size.stream_mib * MIB
    )
    fit_encoder_seconds = time.monotonic() - begun
    with seeded(0):
        network = MLP(encoder.inputs)
    rows = _in_memory(table, encoder, target, size.rows_in_memory) if kind == "memory" else None
    begun = time.monotonic()
    used: Rows = rows if rows is not None else Streamed(table, encoder, target, size.stream_mib * MIB)
    loss = one_pass(network, used, size.batch_size)
    return {
        "rows_per_second": len(used) / (time.monotonic() - begun),
        "peak_mib": memory.peak_mib,
        "fit_encoder_seconds": fit_encoder_seconds,
        "threads": torch.get_num_threads(),
        "loss": loss,
    }


def say(line: str) -> None:
    """Tell how it goes."""
    print(f"streaming: {line}", file=sys.stderr, flush=True)


def _in_memory(table: Table, encoder: Encoder, target: Target, num_rows: int) -> Labelled:
    parts, labels, found = [], [], 0
    for piece in table.pieces(table.groups(), encoder.columns, tuple(encoder.categories)):
        taken = min(len(piece.labels), num_rows - found)
        parts.append(encoder.transform(piece.frame[:taken]))
        labels.append(target.encode(piece.labels[:taken]))
        found += taken
        if found == num_rows:
            break
    return Labelled(joined(parts), torch.cat(labels))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    kind, path = given.pop("kind"), Path(given.pop("path"))
    print(json.dumps(measure(kind, path, Size(**given))))
