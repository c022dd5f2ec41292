"""Programs that are tested are no modules of tests."""

collect_ignore = ["mistakes"]
