"""Trains one network per fold, each validated on sequences that it did not see, and averages their answers.

One split wastes what it holds out and hangs on which sequences these are. Of K networks each holds out another K-th:
all sequences teach, all are judged by a network that did not see them, and the mean is steadier than any one network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from sostenuto.cli.recipe import Recipe
from sostenuto.cli.scoring import answers_of
from sostenuto.cli.training import Settings, Trained, compiled, train
from sostenuto.models import SequenceModel
from sostenuto.sequences import Sequences


def folds_of(sequences: Sequences, number: int, seed: int, stratify: bool) -> list[np.ndarray]:
    """The positions of ``number`` parts of about one size, seeded; classes spread evenly over them if wished.

    Example:
        >>> parts = folds_of(Sequences.from_list([[1.0]] * 5, targets=[0, 0, 1, 1, 1]), 2, seed=0, stratify=True)
        >>> sorted(position for part in parts for position in part.tolist()), sorted(len(part) for part in parts)
        ([0, 1, 2, 3, 4], [2, 3])
    """
    order = np.random.default_rng(seed).permutation(len(sequences))
    if stratify:
        assert sequences.targets is not None
        order = order[np.argsort(sequences.targets[order], kind="stable")]
    return [np.sort(order[first::number]) for first in range(number)]


def train_folds(
    recipe: Recipe, sequences: Sequences, number: int, settings: Settings, callbacks: Callable[[int], list[Any]]
) -> Trained:
    """Trains a network per fold and makes one model of them.

    Args:
        recipe: what ``learnt_from`` found in all sequences.
        sequences: sequences with targets, in the units of their table.
        number: how many folds.
        settings: how each network is made and trained; the seed counts up from fold to fold.
        callbacks: makes the callbacks of a fold, given its number from 1.

    Returns:
        ``Trained`` with the averaging model; its ``held_out`` are the answers of each sequence by the network that did
        not see it, its history the mean over the folds as long as all of them run.
    """
    stratify = bool(recipe.labels) and recipe.per == "sequence"
    members: list[Trained] = []
    judged: list[Sequences] = []
    answers: list[np.ndarray] = []
    parts = folds_of(sequences, number, settings.seed, stratify)
    for fold, part in enumerate(parts):
        rest = np.setdiff1d(np.arange(len(sequences)), part)
        of_fold = Settings(**{**settings.to_json(), "seed": settings.seed + fold})
        member = train(recipe, sequences.take(rest), sequences.take(part), of_fold, callbacks(fold + 1))
        assert member.validation is not None
        members.append(member)
        judged.append(member.validation)
        answers.append(answers_of(member.model, recipe, member.validation))
    shortest = min(len(member.history["loss"]) for member in members)
    history = {
        name: np.mean([member.history[name][:shortest] for member in members], axis=0).tolist()
        for name in members[0].history
    }
    return Trained(
        model=averaged([member.model for member in members], recipe, settings),
        recipe=recipe,
        train=Sequences.concatenate(judged),
        validation=None,
        history=history,
        best_epoch=int(np.argmin(history["val_loss"])) + 1,
        seconds=sum(member.seconds for member in members),
        held_out=np.concatenate(answers),
        networks=number,
    )


def averaged(models: list[SequenceModel], recipe: Recipe, settings: Settings) -> SequenceModel:
    """One model that answers with the mean of several."""
    inputs = keras.Input((None, len(recipe.features)))
    outputs = []
    for number, model in enumerate(models, start=1):
        model.inner.name = f"network_{number}"
        outputs.append(model.inner(inputs))
    joined = SequenceModel(keras.Model(inputs, keras.layers.Average(name="mean")(outputs)), name="network")
    return compiled(joined, recipe, settings, batches=1)
