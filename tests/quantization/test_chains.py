from axsim.graph.builder import GraphBuilder
from axsim.quantization.chains import row_chains


def graph_of_rows():
    """Two products of a norm, their sum, something over all rows, and a sum with its input."""
    b = GraphBuilder("rows")
    x = b.input("x", (6, 4))
    gain, w = b.weight("gain", (4,)), b.weight("w", (4, 4))
    n = b.node("RMSNormalization", [x, gain], name="n", axis=-1, epsilon=1e-6)
    p = b.node("Gemm", [n, w], name="p", transB=1)
    q = b.node("Gemm", [n, w], name="q", transB=1)
    s = b.node("Add", [p, q], name="s")
    t = b.node("Transpose", [s], name="t", perm=(1, 0))
    back = b.node("Transpose", [t], name="back", perm=(1, 0))
    u = b.node("Add", [back, x], name="u")
    v = b.node("Mul", [u, q], name="v")
    b.node("Mul", [v, v], name="w2", output="y")
    return b.build(["y"])


def by_rows(node):
    return node.op != "Transpose"


def test_runs_of_nodes_end_where_rows_mix():
    chains = row_chains(graph_of_rows(), (), by_rows)
    assert [chain.nodes for chain in chains] == [("n", "p", "q", "s"), ("u", "v")]
    first, second = chains
    assert first.cut == ("x",)
    assert set(first.inputs) == {"x", "gain", "w"}
    assert first.outputs == ("q", "s")
    assert second.cut == ("back", "x", "q")
    assert first.dropped["p"] == ()
    assert set(first.dropped["s"]) == {"p", "q", "s"}


def test_results_that_are_kept_stay_nodes_of_their_own():
    chains = row_chains(graph_of_rows(), ("p",), by_rows)
    assert [chain.nodes for chain in chains] == [("n", "q"), ("u", "v")]
    assert row_chains(graph_of_rows(), (), lambda node: node.op == "Transpose") == []


def test_all_that_a_run_reads_is_there_before_its_first_node():
    """``u`` could join the first run by its shape, but reads what that run's results become."""
    for chain in row_chains(graph_of_rows(), (), by_rows):
        made = set()
        for node in graph_of_rows().nodes:
            if node.name == chain.nodes[0]:
                break
            made.update(node.outputs)
        assert set(chain.cut) <= made | {"x"}
