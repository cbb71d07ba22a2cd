"""The generated demos and their traffic simulator; `packs` says which domains there are.

Owns: DemoTruth, the hidden facts a demo was generated from; nothing outside this package may read it.
Writes through: catalog.services, events.services and merchandising.services.
"""
