"""What each verb of the command does: `<name>.py` has `<name>_verb(asked)`, which gives the exit code."""
