"""What the harness tells the column loop of a sandbox."""

from __future__ import annotations

import unittest

from .support import INT64, NATIVE, Job


class Native(unittest.TestCase):
    def test_addresses_are_of_objects_that_stay(self) -> None:
        job = Job("def f(x): return x\n")
        handle = job.bound("f", [INT64], INT64)
        status, parts = job.ask(NATIVE, handle)
        self.assertEqual(status, 0)
        bound = job.harness._bound[handle]
        self.assertEqual(parts[0], id(bound.call))
        self.assertEqual(parts[3], id(job.harness._written))
        self.assertEqual(parts[5], 1, "f is written in Python")
        # Methods are made when they are asked for: the harness keeps these.
        kept = [[id(part) for part in parts] for parts in job.harness._native_parts]
        self.assertIn(list(parts[:5]), kept)

    def test_a_handle_that_was_not_bound_is_an_error(self) -> None:
        self.assertEqual(Job("").ask(NATIVE, 5)[0], 1)


if __name__ == "__main__":
    unittest.main()
