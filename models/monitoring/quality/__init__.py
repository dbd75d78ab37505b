"""Data quality: is the feed what it was when the champion was trained? Asked before anything else.

The unit is the local day. `profile_days` counts each once, `Expectations` learn what days of training looked like, and
`check_days` compares.
"""

from models.monitoring.quality.batch import check_days, check_scored, check_scoring
from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations, distance
from models.monitoring.quality.flipped_labels import (
    NOT_OF_A_NUMBER,
    LabelNoise,
    Unsure,
    check_label_noise,
    label_noise,
)
from models.monitoring.quality.label_rates import check_label_rate
from models.monitoring.quality.label_values import NEW_CLASS, check_label_values, check_new_classes
from models.monitoring.quality.layout import Layout
from models.monitoring.quality.profile import Profile
from models.monitoring.quality.profiling import profile_days
from models.monitoring.quality.skew import check_skew

__all__ = [
    "NEW_CLASS",
    "NOT_OF_A_NUMBER",
    "Expectations",
    "LabelNoise",
    "Layout",
    "Limits",
    "Profile",
    "QualityCheck",
    "Unsure",
    "check_days",
    "check_label_noise",
    "check_label_rate",
    "check_label_values",
    "check_new_classes",
    "check_scored",
    "check_scoring",
    "check_skew",
    "distance",
    "label_noise",
    "profile_days",
]
