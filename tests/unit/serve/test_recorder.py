"""Recorder: answers reach the store a moment later, and nothing of the forgotten does."""

import threading
import time

import pytest

from itemlm.serve import recorder as module
from itemlm.serve.recorder import Recorder
from itemlm.serve.store import Recommendation, Shadow, StoreUnavailable, open_store


def answer(name, user="ann"):
    """An answer as it is written down."""
    return Recommendation(
        recommendation_id=name,
        at=0,
        user_id=user,
        session_id=None,
        model="knn",
        source="model",
        scenario=None,
        experiment=None,
        group=None,
        request_json="{}",
        history=[],
        items=[],
    )


class Failing:
    """A store whose writing can fail, or be held up."""

    def __init__(self, store):
        self.store, self.fails, self.writing = store, False, threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()

    def __getattr__(self, name):
        return getattr(self.store, name)

    def log_recommendations(self, rows):
        if self.fails:
            raise StoreUnavailable("the disk is gone.")
        self.writing.set()
        assert self.may_write.wait(10)
        self.store.log_recommendations(rows)


@pytest.fixture
def store(tmp_path):
    opened = Failing(open_store(tmp_path / "service.db"))
    yield opened
    opened.close()


@pytest.fixture
def recorder(store, monkeypatch):
    """One that writes only when it is told to."""
    monkeypatch.setattr(module, "EVERY", 60)
    made = Recorder(store)
    yield made
    made.stop()


def test_answers_are_found_before_and_after_they_are_written(store, recorder):
    recorder.add(answer("one"))
    assert recorder.find("one") == answer("one")
    assert store.recommendation("one") is None
    recorder.flush()
    assert store.recommendation("one") == answer("one")
    assert recorder.find("nothing") is None


def test_they_are_written_without_being_told(store, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)
    made = Recorder(store)
    made.add(answer("one"))
    assert store.writing.wait(10)
    made.stop()
    assert store.recommendation("one") == answer("one")


def test_stopping_writes_what_waits(store, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 60)
    monkeypatch.setattr(module, "AT_A_TIME", 2)
    made = Recorder(store)
    for number in range(5):
        made.add(answer(str(number)))
        made.add_shadow(Shadow(str(number), "other", ["a"], 1.5))
    made.stop()
    assert store.counts().recommendations == 5
    assert store.shadows()["recommendation_id"].sort().to_list() == list("01234")


def test_memory_is_bounded_and_the_store_remembers_the_rest(store, recorder, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 2)
    for number in range(3):
        recorder.add(answer(str(number)))
    assert list(recorder._latest) == ["1", "2"]
    recorder.flush()
    assert recorder.find("0") == answer("0")


def test_a_store_that_fails_costs_the_oldest_answers_and_only_beyond_the_bound(
    store, recorder, monkeypatch
):
    monkeypatch.setattr(module, "WAITING", 3)
    store.fails = True
    for number in range(3):
        recorder.add(answer(str(number)))
    recorder.flush()
    assert recorder.dropped == 0
    recorder.add(answer("3"))
    assert recorder.dropped == 1
    store.fails = False
    recorder.flush()
    kept = [store.recommendation(str(number)) is not None for number in range(4)]
    assert kept == [False, True, True, True]


def test_what_is_forgotten_is_neither_found_nor_written(store, recorder):
    recorder.add(answer("of-ann"))
    recorder.add(answer("of-bob", user="bob"))
    recorder.forget("ann")
    recorder.flush()
    assert recorder.find("of-ann") is None
    assert recorder.find("of-bob") is not None


def test_nothing_of_the_forgotten_is_on_its_way_to_the_disk(store, recorder):
    """Forgetting waits for a write that began before it, and so deletes what that wrote."""
    recorder.add(answer("of-ann"))
    store.may_write.clear()
    writing = threading.Thread(target=recorder.flush)
    writing.start()
    assert store.writing.wait(10)

    def forget():
        recorder.forget("ann")
        store.forget("ann")

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    time.sleep(0.02)
    store.may_write.set()
    writing.join()
    forgetting.join()
    assert store.recommendation("of-ann") is None
