"""Batcher: who arrives together is answered together, in order, or told no at once."""

import asyncio
import threading
import time

import pytest

from itemlm.serve.batcher import Batcher, Overloaded, Stopped


class Slow:
    """Answers with the negative, in batches that are held back until they may go on."""

    def __init__(self):
        self.batches, self.go_on, self.started = [], threading.Event(), threading.Event()

    def __call__(self, questions):
        self.batches.append(list(questions))
        self.started.set()
        assert self.go_on.wait(10)
        return [-question for question in questions]


@pytest.fixture
def make():
    """Batchers that are stopped in the end."""
    made = []

    def batcher(answer, *, max_batch=4, budget=10.0, **more):
        made.append(Batcher(answer, max_batch=max_batch, budget=budget, **more))
        return made[-1]

    yield batcher
    for each in made:
        each.stop()


def test_answers_go_to_their_questions_in_batches_of_those_who_waited(make):
    slow, sizes = Slow(), []
    batcher = make(slow, max_batch=3, observe=lambda size, seconds: sizes.append(size))

    async def ask():
        first = asyncio.create_task(batcher.ask(1, 10))
        await asyncio.to_thread(slow.started.wait, 10)
        rest = [asyncio.create_task(batcher.ask(number, 10)) for number in range(2, 7)]
        await asyncio.sleep(0)
        assert len(batcher) == 5
        slow.go_on.set()
        return await asyncio.gather(first, *rest)

    assert asyncio.run(ask()) == [-1, -2, -3, -4, -5, -6]
    assert slow.batches == [[1], [2, 3, 4], [5, 6]]  # the first was alone and did not wait
    assert sizes == [1, 3, 2]


def test_an_exception_is_for_its_question_alone(make):
    batcher = make(lambda questions: [ValueError(q) if q % 2 else q for q in questions])

    async def ask():
        asked = (batcher.ask(number, 10) for number in range(4))
        return await asyncio.gather(*asked, return_exceptions=True)

    zero, one, two, three = asyncio.run(ask())
    assert (zero, two) == (0, 2)
    assert one.args == (1,)
    assert three.args == (3,)


@pytest.mark.parametrize(
    "broken", [lambda questions: 1 / 0, lambda questions: [0] * (len(questions) + 1)]
)
def test_a_bug_does_not_end_the_thread(make, broken):
    def answer(questions):
        return broken(questions) if questions == ["bug"] else ["fine"] * len(questions)

    batcher = make(answer)
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        asyncio.run(batcher.ask("bug", 10))
    assert asyncio.run(batcher.ask("well?", 10)) == "fine"


def test_who_would_wait_too_long_is_told_at_once(make):
    slow = Slow()
    batcher = make(slow, max_batch=2, budget=0.01)

    async def ask():
        slow.go_on.set()
        await batcher.ask(0, 10)
        batcher._seconds_each = 0.1  # as if it had taken long
        slow.go_on.clear()
        slow.started.clear()
        waiting = [asyncio.create_task(batcher.ask(1, 10))]
        await asyncio.to_thread(slow.started.wait, 10)
        waiting += [asyncio.create_task(batcher.ask(number, 10)) for number in (2, 3)]
        await asyncio.sleep(0)
        # Two wait, which fill the next batch: the third would wait for the one after it.
        assert batcher.too_long() == pytest.approx(2 * 0.1)
        with pytest.raises(Overloaded) as caught:
            await batcher.ask(4, 10)
        assert caught.value.seconds == pytest.approx(0.2)
        slow.go_on.set()
        assert await asyncio.gather(*waiting) == [-1, -2, -3]
        assert batcher.too_long() == 0

    asyncio.run(ask())


def test_time_per_question_is_learned_from_batches(make):
    batcher = make(lambda questions: time.sleep(0.02) or questions)
    for _ in range(3):
        asyncio.run(batcher.ask(0, 10))
    assert 0.1 * 0.02 < batcher._seconds_each < 0.3


def test_who_gives_up_is_not_answered(make):
    slow = Slow()
    batcher = make(slow)

    async def ask():
        first = asyncio.create_task(batcher.ask(1, 10))
        await asyncio.to_thread(slow.started.wait, 10)
        with pytest.raises(TimeoutError):
            await batcher.ask(2, 0.01)
        last = asyncio.create_task(batcher.ask(3, 10))
        await asyncio.sleep(0)
        slow.go_on.set()
        assert await asyncio.gather(first, last) == [-1, -3]

    asyncio.run(ask())
    assert slow.batches == [[1], [3]]


def test_stopping_answers_what_waits_and_takes_no_more():
    slow = Slow()
    batcher = Batcher(slow, max_batch=2, budget=10)

    async def ask():
        first = asyncio.create_task(batcher.ask(1, 10))
        await asyncio.to_thread(slow.started.wait, 10)
        rest = [asyncio.create_task(batcher.ask(number, 10)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        stopping = asyncio.create_task(asyncio.to_thread(batcher.stop))
        await asyncio.sleep(0.02)
        with pytest.raises(Stopped):
            await batcher.ask(5, 10)
        slow.go_on.set()
        await stopping
        return await asyncio.gather(first, *rest)

    assert asyncio.run(ask()) == [-1, -2, -3, -4]
    batcher.stop()  # again, which does nothing


def test_questions_of_several_loops_share_a_batch(make):
    slow = Slow()
    batcher = make(slow)
    answers = {}

    def ask(number):
        answers[number] = asyncio.run(batcher.ask(number, 10))

    threads = [threading.Thread(target=ask, args=(number,)) for number in (1, 2, 3)]
    threads[0].start()
    assert slow.started.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(batcher) < 2:
        time.sleep(0.001)
    slow.go_on.set()
    for thread in threads:
        thread.join()
    assert answers == {1: -1, 2: -2, 3: -3}
    assert sorted(slow.batches[1]) == [2, 3]


def test_a_loop_that_is_gone_harms_nobody(make):
    slow = Slow()
    batcher = make(slow)
    loop = asyncio.new_event_loop()
    asked = loop.create_task(batcher.ask(1, 10))
    loop.run_until_complete(asyncio.sleep(0))
    assert slow.started.wait(10)
    loop._ready.clear()
    asked._log_destroy_pending = False
    loop.close()
    slow.go_on.set()
    assert asyncio.run(batcher.ask(2, 10)) == -2
