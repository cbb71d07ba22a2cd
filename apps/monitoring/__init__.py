"""Watches every layer below: health of services, freshness, the pipeline picture. Owns no table yet."""
