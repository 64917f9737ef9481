"""Times the op against its rivals, side by side, after checking that all agree."""
