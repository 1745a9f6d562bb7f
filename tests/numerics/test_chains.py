from axsim.graph.builder import GraphBuilder
from axsim.numerics.chains import gated_products, row_chains


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
    assert chains == [("n", "p", "q", "s"), ("u", "v")]


def test_results_that_are_kept_stay_nodes_of_their_own():
    chains = row_chains(graph_of_rows(), ("p",), by_rows)
    assert chains == [("n", "q"), ("u", "v")]
    assert row_chains(graph_of_rows(), (), lambda node: node.op == "Transpose") == []


def test_all_that_a_run_reads_is_there_before_its_first_node():
    """``u`` could join the first run by its shape, but reads what that run's results become."""
    graph = graph_of_rows()
    for chain in row_chains(graph, (), by_rows):
        nodes = [node for node in graph.nodes if node.name in chain]
        made = {n for node in nodes for n in node.outputs}
        read = {n for node in nodes for n in node.inputs if graph.tensors[n].kind == "activation"}
        before = set()
        for node in graph.nodes:
            if node.name == chain[0]:
                break
            before.update(node.outputs)
        assert read - made <= before


def test_a_function_and_the_only_product_with_it_are_a_pair():
    b = GraphBuilder("gate")
    x, z = b.input("x", (6, 4)), b.input("z", (6, 4))
    s = b.node("Swish", [x], name="s")
    b.node("Mul", [z, s], name="m", output="y")
    t = b.node("Swish", [z], name="t")
    u = b.node("Mul", [t, x], name="u")
    b.node("Add", [t, u], name="v", output="sum")
    graph = b.build(["y", "sum"])
    pairs = [(f.name, m.name, other) for f, m, other in gated_products(graph)]
    assert pairs == [("s", "m", "z")]
    assert gated_products(graph, (s,)) == []
