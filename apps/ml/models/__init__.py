"""One module per model family; nothing here is imported until `apps.ml.registry` loads a family."""
