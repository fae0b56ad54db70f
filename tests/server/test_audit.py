"""What is done and cannot be written down is told where it can be."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from hitsave.server.audit import TAKE_BACK, Audit
from hitsave.server.database import Database


def test_a_deed_that_cannot_be_written_down_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Database.open(f"sqlite:///{tmp_path}/server.sqlite")) as database:
        with database.transaction() as connection:
            connection.execute(sql.text("DROP TABLE hitsave_audit"))
        with caplog.at_level("ERROR", "hitsave.server"), pytest.raises(SQLAlchemyError):
            Audit(database).note("Yq81kWzc", "ann\nERROR", "10.0.0.7", TAKE_BACK, {"digest": "f6bc5222"})
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("this is not in the audit log: ")
    assert "\n" not in line
    assert all(word in line for word in ("Yq81kWzc", "take back", "f6bc5222"))
