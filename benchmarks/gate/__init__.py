"""What the gate promises, measured: run `python -m benchmarks.gate`."""
