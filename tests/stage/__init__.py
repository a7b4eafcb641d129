# SPDX-License-Identifier: GPL-3.0-only
"""Real daemons on a small stage: what the integration tests and the demo start, feed, read and stop.

Each module holds one daemon (or one part of the kernel) as a context manager. All of them listen on
loopback alone, keep their state in a directory that they are given, and are gone when the block ends,
however it ends.
"""
