"""Who is served, started and stopped, and when: pure decisions about model swapping.

`core.Scheduler.handle(event, now)` takes facts and returns orders. It does not start processes, open sockets or read
clocks; `claracore.host.supervisor.loop` does, and tells what came of it.
"""
