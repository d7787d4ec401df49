"""Training loops and estimators that methods share."""
