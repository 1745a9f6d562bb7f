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
