"""What can become of a training, apart from the trainer: whoever only has to recognise it need not load Lightning."""

from __future__ import annotations


class Diverged(RuntimeError):
    """The loss or the weights are no longer finite: trying the same again gives the same."""
