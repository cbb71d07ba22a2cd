"""Settings: base holds every default, dev, test and prod say only what differs."""
