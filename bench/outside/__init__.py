"""What was generated elsewhere: files of samples, checkpoints, and their rows in a leaderboard."""
