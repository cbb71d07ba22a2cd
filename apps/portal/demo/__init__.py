"""The generated demo shop and its traffic simulator.

Owns: DemoTruth, the hidden facts the shop was generated from; nothing outside this package may read it.
Writes through: catalog.services and events.services.
"""
