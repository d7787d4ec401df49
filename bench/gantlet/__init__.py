"""What a repository of somebody's own imports of Gantlet: `gantlet.testing`, the checks for pytest."""
