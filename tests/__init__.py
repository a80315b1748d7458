"""
Tests of registryproxy: C{python -m twisted.trial tests}.

hypothesis is made repeatable here, once for all: no deadline, for the machines of others are slow, and no
database of past examples, for it would make one checkout differ from the next.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
