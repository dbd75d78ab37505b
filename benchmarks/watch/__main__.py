"""The watch's claims, measured on real rows into which something was put, on quiet years, and with a stopwatch.

    python -m benchmarks.watch [--quick] [--only PART ... [--keep FILE]] [--jobs N] [--output FILE]

The last line on stdout is one JSON object with the headline numbers at its top and a section for each part. Each part
says in its docstring what is measured: `confusion` (which verdict for which fault or shift), `calendar` (feeds called
broken in healthy years), `false_alarms` (quiet years, and delays), `estimates` (without labels, against the truth),
`multivariate` (all columns together), `speed`.
"""

from __future__ import annotations

from benchmarks.parts import Benchmark

HEADLINE = {
    "confusion": ("retrain_on_fault", "harmful_found", "benign_retrained", "found_before_labels"),
    "calendar": ("feed_false_alarms",),
    "false_alarms": ("false_alarm_years",),
    "estimates": ("coverage",),
    "multivariate": ("multivariate_speedup",),
    "speed": ("seconds_1e6", "peak_gib_1e6"),
}
WATCH = Benchmark("watch", HEADLINE, __doc__.splitlines()[0])


if __name__ == "__main__":
    WATCH.main()
