from axsim.study.journal import Journal


def test_points_are_there_again(tmp_path) -> None:
    path = tmp_path / "out.csv.journal"
    with Journal(path) as journal:
        journal.add([("a", [{"x": 0.1}]), ("b", [])])
    with Journal(path) as journal:
        assert journal.finished == {"a": [{"x": 0.1}], "b": []}
        journal.add([("c", [{"x": None}])])
    with Journal(path) as journal:
        assert list(journal.finished) == ["a", "b", "c"]


def test_a_line_cut_short_at_any_byte_costs_that_point_only(tmp_path) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.add([("a", [{"x": 1}]), ("b", [{"x": 2}])])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            assert list(journal.finished) == ["a"]
            journal.add([("c", [])])
        with Journal(path) as journal:
            assert list(journal.finished) == ["a", "c"]


def test_a_hole_costs_that_point_only(tmp_path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"point": "a", "rows": []}\n\0\0\0\n{"point": "b", "rows": []}\n')
    with Journal(path) as journal:
        assert list(journal.finished) == ["a", "b"]


def test_a_changed_byte_costs_that_point_only(tmp_path) -> None:
    path = tmp_path / "j"
    rows = [{"x": 0.1, "y": None, "é": "a", "error": "no: \ud800"}]
    with Journal(path) as journal:
        journal.add([("a", rows), ("b", [{"x": 2}])])
    whole = path.read_bytes()
    for at in range(whole.index(b"\n")):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with Journal(path) as journal:
            assert list(journal.finished) in (["b"], ["a", "b"])
            assert journal.finished.get("a", rows) == rows


def test_journals_without_checksums_are_read(tmp_path) -> None:
    (tmp_path / "j").write_text('{"point": "a", "rows": [{"x": 1}]}\n')
    with Journal(tmp_path / "j") as journal:
        assert journal.finished == {"a": [{"x": 1}]}
