"""The portal's sentences: rules, reasons and changes for merchandisers, in the reader's language."""
