"""What PoseDA adds to a lifter: generator, discriminators and their losses."""
