"""What holds for every test: a property is judged by what it finds, not by how fast a busy machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
