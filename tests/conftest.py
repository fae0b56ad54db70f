"""What holds for all tests.

The examples that hypothesis makes are the same in every ordinary run, so that a run that fails speaks of the change
that it checks. `make soak` looks further: it makes new ones each time, in all tests that have them.
"""

from hypothesis import settings

settings.register_profile("same-each-time", derandomize=True)
settings.load_profile("same-each-time")
