"""The staff site in headless Chromium, on real processes."""
