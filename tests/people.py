"""Named people of every test: maya, ana, mel and adam by role, otto without any."""
