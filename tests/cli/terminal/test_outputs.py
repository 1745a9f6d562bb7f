"""Folders that commands fill."""

from __future__ import annotations

from contextlib import suppress

import pytest

from axsim.axmodel.build import Build
from axsim.cli.terminal.outputs import filling
from axsim.errors import InputError
from tests.cli.command import axsim
from tests.cli.small_network import small


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path, error) -> None:
    def end(folder) -> None:
        with filling(folder):
            assert folder.is_dir()
            raise error("")

    with pytest.raises(error):
        end(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(error):
        end(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_with_a_finished_file_stays(tmp_path) -> None:
    with suppress(KeyboardInterrupt), filling(tmp_path / "a" / "b"):
        (tmp_path / "a" / "finished").write_text("")
        raise KeyboardInterrupt
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["finished"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    told = r"cannot write .*file/x: Not a directory"
    with pytest.raises(InputError, match=told), filling(tmp_path / "file" / "x"):
        pass


def test_builds_and_exports_that_are_ended_leave_nothing(tmp_path, monkeypatch) -> None:
    pytest.importorskip("onnx")
    folder = small(tmp_path)

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Build, "write", ended)
    monkeypatch.setattr("axsim.export.subgraphs.export", ended)
    for name, *rest in (("build", "--chip", "ax630c"), ("export",)):
        axsim(name, "models/small.yaml", *rest, "-o", "new/out", code=130, folder=folder)
        assert not (folder / "new").exists(), name
