"""Templates, the checks on them, and the packager that turns the project into two stacks."""
