"""Which of CPython's tests of asyncio fail on a loop inside the Erlang VM, and why. The only list of them.

It is kept true by the tests: one that is listed and passes is a failure, too.
"""

# Names are module.Class.test, as patterns.
_REASONS = {
    "subprocesses: a process cannot be forked inside the VM, so the loop raises NotImplementedError": [
        "test_events.SelectEventLoopTests.test_subprocess_*",
    ],
    "forks, or starts another Python, which the sandbox refuses": [
        "test_base_events.BaseEventLoopTests.test_env_var_debug",
        "test_events.Test*GetEventLoop.test_get_event_loop_new_process",
        "test_tasks.*GatherTests.test_env_var_debug",
        "test_eager_task_factory.CEagerTaskFactoryLoopTests.test_issue105987",
        "test_unix_events.TestFork.test_fork_*",
    ],
    "signals: they are the VM's, so the loop raises NotImplementedError": [
        "test_events.SelectEventLoopTests.test_add_signal_handler",
        "test_events.SelectEventLoopTests.test_signal_handling_args",
        "test_events.SelectEventLoopTests.test_signal_handling_while_selecting",
        "test_unix_events.SelectorEventLoopSignalTests.test_add_signal_handler",
        "test_unix_events.SelectorEventLoopSignalTests.test_add_signal_handler_coroutine_error",
        "test_unix_events.SelectorEventLoopSignalTests.test_add_signal_handler_install_*",
        "test_unix_events.SelectorEventLoopSignalTests.test_close*",
        "test_unix_events.SelectorEventLoopSignalTests.test_remove_signal_handler*",
    ],
    "Ctrl-C: it never reaches Python, and a context's thread is not Python's main thread": [
        "test_runners.RunTests.test_asyncio_run_without_uncancel",
        "test_runners.RunnerTests.test_interrupt_*",
        "test_runners.RunnerTests.test_signal_install_not_supported_ok",
    ],
}

PATTERNS = [pattern for patterns in _REASONS.values() for pattern in patterns]
