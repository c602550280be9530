"""Signals that stop a training."""

import signal

import pytest

from topmass.training.signals import SIGNALS, SignalHandler, available_signals, install_handler


@pytest.fixture(autouse=True)
def default_handlers():
    """Default handlers during a test: pytest may have been started with signals that are ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_recorded_and_repeated_ones_are_ignored_afterwards(number):
    handler = SignalHandler()
    with install_handler(handler.on_signal):
        signal.raise_signal(number)
    assert handler.received == number
    assert {signal.getsignal(other) for other in SIGNALS} == {signal.SIG_IGN}


def test_without_a_signal_the_handlers_are_those_of_before():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handler = SignalHandler()
    with install_handler(handler.on_signal):
        # As under `nohup`.
        signal.raise_signal(signal.SIGHUP)
        assert signal.SIGHUP not in available_signals()
    assert handler.received is None and before == {number: signal.getsignal(number) for number in SIGNALS}
