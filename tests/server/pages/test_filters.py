"""What a filter finds among evaluations."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.config import Config
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.display import encode_display
from hitsave.objects.evaluation import Evaluation, encode_evaluation
from hitsave.objects.refs import Ref, evaluation_ref
from hitsave.objects.shapes import Display, Number
from hitsave.progress import Silent
from hitsave.repository import Repository
from hitsave.server.pages.catalogue.evaluations import Chosen, EvaluationTables, Sorting
from hitsave.server.pages.catalogue.filling import Filling
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.catalogue.where import BadFilter, parse_filter
from hitsave.server.pages.holdings import LocalHoldings
from tests.server.pages.exhibits import manifest, put

LOSSES = (0.5, math.nan, 2.0)


def fill(cache: Cache) -> None:
    """A run for each loss."""
    with cache.intake() as intake:
        refs = []
        for number, loss in enumerate(LOSSES):
            shown = Display((("lr", Number("int", number)),), Number("float", loss))
            evaluation = Evaluation(
                function="f",
                code=blob_digest(b"code"),
                arguments=blob_digest(b"%d" % number),
                manifest=put(intake, manifest("def f(): ...\n")),
                result=put(intake, b"%d" % number),
                display=put(intake, encode_display(shown)),
            )
            digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
            refs.append(Ref(evaluation_ref("f", evaluation.key, digest), digest, ObjectKind.EVALUATION, number))
        intake.publish(refs)


@pytest.mark.parametrize(
    ("text", "count"), [("result = nan", 1), ("result = NaN", 1), ("result != nan", 2), ("result = 0.5", 1)]
)
def test_what_is_no_number_is_found_by_its_name(tmp_path: Path, text: str, count: int) -> None:
    tables = Tables(tmp_path / "catalogue.sqlite")
    with Cache.open(tmp_path / "cache") as cache:
        fill(cache)
        repository = Repository(Config(tmp_path, "p", tmp_path / "cache", tmp_path), cache, Silent())
        assert Filling(tables, LocalHoldings(repository)).catch_up(whole=True, patience=60)
    where = tuple(parse_filter(text, ["arguments.lr", "result"]))
    assert EvaluationTables(tables).count(Chosen(None, where), Sorting()) == count


@pytest.mark.parametrize("text", ["result < nan", "elapsed = nan"])
def test_nothing_is_less_than_what_is_no_number(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_filter(text, ["result"])
