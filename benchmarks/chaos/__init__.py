"""What kills at random instants leave behind."""
