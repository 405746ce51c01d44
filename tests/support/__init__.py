"""What several suites build on."""
