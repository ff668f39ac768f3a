from __future__ import annotations

import pytest

pytest.importorskip('message_filters')

from message_filters import SimpleFilter


def test_every_callback_gets_the_messages_then_its_own_arguments_in_order_of_registration():
    source, calls = SimpleFilter(), []
    source.registerCallback(lambda *args: calls.append(('first', *args)), 'extra', 7)
    source.registerCallback(lambda *args: calls.append(('second', *args)))
    source.signalMessage('left', 'right')
    assert calls == [('first', 'left', 'right', 'extra', 7), ('second', 'left', 'right')]


def test_connection_number_is_not_used_again_after_a_callback_was_removed():
    source, calls = SimpleFilter(), []
    first = source.registerCallback(calls.append)
    second = source.registerCallback(calls.append)
    del source.callbacks[first]
    assert source.registerCallback(calls.append) not in (first, second)
    source.signalMessage('once per callback that is left')
    assert len(calls) == 2


def test_callback_that_registers_another_does_not_disturb_the_round():
    source, calls = SimpleFilter(), []
    source.registerCallback(lambda msg: source.registerCallback(calls.append))
    source.signalMessage(1)
    assert calls == []
    source.signalMessage(2)
    assert calls == [2]
