"""What watching costs and brings: false alarms of quiet years, and how soon a change is seen."""
