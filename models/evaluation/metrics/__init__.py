"""Metrics as a value and the influence of each row on it; `catalogue.metric` makes one by its name."""

from models.evaluation.metrics.calibration import calibration_error, squared_calibration_error
from models.evaluation.metrics.catalogue import (
    ACCURACY,
    AUC,
    AVERAGE_PRECISION,
    BALANCED_ACCURACY,
    BRIER,
    CALIBRATION_ERROR,
    CORRELATION,
    F1,
    LOG_LOSS,
    MAE,
    MCC,
    METRICS,
    NAMES,
    PRECISION,
    R2,
    RECALL,
    RMSE,
    SQUARED_CALIBRATION_ERROR,
)
from models.evaluation.metrics.metric import Measured, Metric, Sample, Task, Undefined
from models.evaluation.metrics.proper import brier, log_loss
from models.evaluation.metrics.ranking import auc, average_precision

__all__ = [
    "ACCURACY",
    "AUC",
    "AVERAGE_PRECISION",
    "BALANCED_ACCURACY",
    "BRIER",
    "CALIBRATION_ERROR",
    "CORRELATION",
    "F1",
    "LOG_LOSS",
    "MAE",
    "MCC",
    "METRICS",
    "NAMES",
    "PRECISION",
    "R2",
    "RECALL",
    "RMSE",
    "SQUARED_CALIBRATION_ERROR",
    "Measured",
    "Metric",
    "Sample",
    "Task",
    "Undefined",
    "auc",
    "average_precision",
    "brier",
    "calibration_error",
    "log_loss",
    "squared_calibration_error",
]
