"""SPEAKS TO THE MACHINE: files for their owner only, descriptors, no image of the memory, orderly ends."""
