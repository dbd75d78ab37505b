"""The gate's claims, measured on rows whose truth is known, on spoilt trainings, and with a stopwatch.

    python -m benchmarks.gate [--quick] [--only PART ... [--keep FILE]] [--jobs N] [--output FILE]

The last line on stdout is one JSON object with the headline numbers at its top and a section for each part, which
holds the whole table of cells; `--output` writes it to a file as well, whole or not at all. How it goes is said on
stderr. Each part says in its docstring what is measured: `false_promotions` (challengers no better), `harmful` (worse),
`power`, `guarded` (what guardrails cost), `life` (many decisions in a row), `poison` (real trainings), `speed`. Where a
part was not run, its headline numbers are null. Simulated numbers are the same for every number of jobs; times and
memory are this machine's.
"""

from __future__ import annotations

from benchmarks.parts import Benchmark

HEADLINE = {
    "false_promotions": ("false_promotion_max", "false_promotion_mean"),
    "harmful": ("harmful_promotion_max",),
    "power": ("power_ratio_min",),
    "guarded": (),
    "life": ("life_false_promotion",),
    "poison": ("poison_promoted",),
    "speed": ("speedup_vs_bootstrap", "seconds_1e6", "extra_gib_1e6"),
}
GATE = Benchmark("gate", HEADLINE, __doc__.splitlines()[0])


if __name__ == "__main__":
    GATE.main()
