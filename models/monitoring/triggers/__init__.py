"""When a retrain is to be tried: triggers, each a class with one method, and what they see."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.monitoring.diagnosis import Diagnosis
from models.monitoring.triggers.compound import AnyOf
from models.monitoring.triggers.evidence import Harm
from models.monitoring.triggers.pace import Every
from models.monitoring.triggers.situation import Look, Situation


def retrain_trigger(
    diagnosis: Diagnosis | None, last_attempt: datetime | None, as_of: datetime, baseline: timedelta
) -> str | None:
    """Why a retrain is to be tried at `as_of` where a project names no triggers: harm was shown, or it is time.

    Args:
        diagnosis: of the watch at `as_of`; None when there was nothing to watch.
        last_attempt: when the last retrain was tried, whatever came of it.
        as_of: now, in the data's time.
        baseline: how long after the last attempt the next is due anyway.
    """
    situation = Situation(
        as_of,
        looks=(Look(as_of, diagnosis.verdict),) if diagnosis else (),
        attempts=() if last_attempt is None else (last_attempt,),
        trained_until=as_of,
    )
    return AnyOf((Harm(), Every(baseline / timedelta(days=1)))).reason(situation)
