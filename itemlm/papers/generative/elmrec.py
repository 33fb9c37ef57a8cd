"""ELMRec: tell a text-to-text recommender who took what, by vectors that nobody has to train.

Wang, Cui, Fukumoto and Suzuki, "Enhancing High-order Interaction Awareness in LLM-based Recommender
Model", EMNLP 2024. arXiv:2409.19979

The idea    A model that reads names of users and items as text does not see the graph behind them.
            Give every node of the graph a random vector, pass the vectors along its edges a few
            times, and add the result to the tokens of the node's name. Vectors of nodes that share
            neighbors are then alike, before anything is learned.
Departures  A small fresh T5 and names like our P5's. The vectors stay as they are; the authors'
            code goes on training them. Histories have them too (`graph="all"`); in the authors'
            code only the other tasks do. Items already held are closed in the trie, where the paper
            asks for more items and drops them afterwards.
Measured    docs/papers/elmrec.md
Shapes      X nodes (users, then items), B prompts, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from itemlm.config import check_at_least
from itemlm.data.dataset import Dataset
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.spelling import number_names
from itemlm.lm.worded import OUTSIDE, WholeWords
from itemlm.nn.graph import neighbors, propagated
from itemlm.papers.prompting import WORDS, Asking, PromptConfig, learned, question, restored_asking
from itemlm.recommender import Saved
from itemlm.retrieve.prompted import Prompted, names_in, user_names
from itemlm.tokenize.sequential import numbers
from itemlm.train.run import Run

FAMILIES = ("sequential", "direct", "explanation")
SOFT = tuple(f"<{family}_{place}>" for family in FAMILIES for place in (1, 2, 3))
OTHER_TASKS = SOFT[3:]  # than recommending by a history, whose prompts need not say so


@dataclass(frozen=True, kw_only=True)
class Config(PromptConfig):
    """Settings of ELMRec."""

    steps: int = 4  # along the edges of the graph
    strength: float = 1.0  # of the vectors of nodes, as a share of those of tokens
    graph: Literal["all", "others"] = "all"  # or not in histories, whose words are counted instead
    explanation: int = 1  # examples of this family per user and epoch, where there are any
    reviews: str = ""  # a file with user_id, item_id and explanation

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 0, "steps", "strength", "explanation")
        question("elmrec", self.prompt, direct=self.direct > 0)

    @classmethod
    def as_published(cls) -> Config:
        """The pretrained T5-small of the paper, and its training."""
        return cls(
            lm="t5-small",
            graph="others",
            sequential=1,
            candidates=100,
            answers=1,
            hidden=0.0,
            limit=512,
            beams=30,
            epochs=100,
            validate_every=1,
            batch_size=64,
            learning_rate=1e-3,
        )


class GraphWords(WholeWords):
    """A language model that adds to every name the vector of its node in the graph.

    Args:
        lm: the language model.
        graph_XD: a vector per node.
    """

    graph_XD: Tensor

    def __init__(self, lm: LanguageModel, graph_XD: Tensor) -> None:
        super().__init__(lm, WORDS)
        self.register_buffer("graph_XD", graph_XD)

    def word_vectors(self, words_BS: Tensor) -> Tensor:
        """[B, S, D] of nodes from number `WORDS` on, and of places in a prompt below."""
        node_BS = words_BS - WORDS
        of_places_BSD = super().word_vectors(words_BS)
        return torch.where(
            (node_BS >= 0)[..., None], self.graph_XD[node_BS.clamp(min=0)], of_places_BSD
        )


class Numbers:
    """The numbers of a prompt's words: nodes of the graph, or places in a history.

    Args:
        users: how users are written.
        items: how items are written.
        graph: see `Config`.
    """

    def __init__(self, users: Sequence[str], items: Sequence[str], graph: str) -> None:
        self.node = {name: WORDS + row for row, name in enumerate([*users, *items])}
        self.graph = graph

    def __call__(self, words: Sequence[str]) -> list[int]:
        """One number per word; `OUTSIDE` where it names nobody and nothing."""
        if self.graph == "others" and words[0] not in OTHER_TASKS:
            count, found = 0, []
            for word in words:
                count += word in self.node
                found.append(min(count, WORDS - 1) if word in self.node else OUTSIDE)
            return found
        return [self.node.get(word, OUTSIDE) for word in words]


def fit(dataset: Dataset, config: Config, run: Run) -> Prompted:
    """Propagate, then learn prompts."""
    number_N = numbers(dataset.sequences, len(dataset.items), "user", run.seed)
    items = number_names(number_N)
    families = {name: count for name in FAMILIES if (count := getattr(config, name))}

    def with_soft_prompts(lm: LanguageModel) -> list[str]:
        lm.add_tokens(SOFT)
        return items

    return learned(
        _asking(
            user_names(len(dataset.users)),
            items,
            config,
            partial(node_words, dataset=dataset, config=config, seed=run.seed),
        ),
        dataset,
        config,
        run,
        families=families,
        items=items,
        coded=with_soft_prompts,
        reviews=config.reviews,
    )


def node_words(lm: LanguageModel, dataset: Dataset, config: Config, seed: int) -> GraphWords:
    """Random vectors, passed along the edges of the training events."""
    events = dataset.sequences
    users, items = len(dataset.users), len(dataset.items)
    graph_XX = neighbors(events.user_rows, events.item_rows, users, items)
    dice = torch.Generator().manual_seed(seed)
    passed_XD = propagated(
        graph_XX, torch.randn(users + items, lm.width, generator=dice), config.steps
    )
    tokens = lm.model.get_input_embeddings().weight.detach()
    scale = config.strength * tokens.std() / passed_XD.std()
    return GraphWords(lm, scale * passed_XD)


def restore(saved: Saved) -> Prompted:
    """From saved parts."""
    config = saved.config_of(Config)
    items, users = names_in(saved.documents)
    graph_XD = torch.from_numpy(saved.state["language_model.graph_XD"])
    asking = _asking(user_names(len(users)), items, config, lambda lm: GraphWords(lm, graph_XD))
    return restored_asking(asking, saved, config)


def _asking(
    users: Sequence[str],
    items: Sequence[str],
    config: Config,
    whole: Callable[[LanguageModel], WholeWords],
) -> Asking:
    numbered = Numbers(users, items, config.graph)
    return Asking(paper="elmrec", folder="elmrec", whole=whole, numbered=numbered)
