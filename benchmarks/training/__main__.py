"""Training's claims, measured by walking in time over real streams, with a stopwatch, and by killing.

    python -m benchmarks.training [--quick] [--only PART ... [--keep FILE]] [--jobs N] [--output FILE]

The last line on stdout is one JSON object with the headline numbers at its top and a section for each part. Each part
says in its docstring what is measured: `walk` (the default fine-tune and the choice on streams), `recipes` (the table
of all recipes and histories), `rates` (rows per second), `streaming` (a table larger than memory), `resume` (kills at
random steps), `growth` (time and memory from 1e5 to 1e7 rows).

On a GPU `--only rates` needs few libraries: torch, lightning, torchmetrics, numpy, pandas, pyarrow and
rtdl_num_embeddings.
"""

from __future__ import annotations

from benchmarks.parts import Benchmark

HEADLINE = {
    "walk": ("finetune_gain", "finetune_gain_worst", "finetune_cost", "choice_regret"),
    "recipes": (),
    "rates": ("vs_handwritten", "vs_dataloader"),
    "streaming": ("streaming_ratio",),
    "resume": ("resume_identical",),
    "growth": ("growth",),
}
TRAINING = Benchmark("training", HEADLINE, __doc__.splitlines()[0])


if __name__ == "__main__":
    TRAINING.main()
