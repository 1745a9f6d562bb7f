"""Lowering: a graph with storage dtypes becomes a list of fused operators (steps).

Rules, in the order of application:

* Layout operators (Reshape, Transpose, Split, Slice, Concat) cost nothing on an engine: tiles are
  addressed in place. A Concat of a graph input (the KV cache) is the load of that input.
* A Relu or Clip behind an integer result is free: requantisation saturates at its limits.
* Gemm and convolutions run on CONV with their bias. A MatMul of two activations runs on CONV when
  both are integers, on TENG when they are floating point, unless ``float_matmul_on_conv``.
* Everything else runs on TENG; a chain of vector operators whose intermediate has one reader is one
  step, so that the intermediate never leaves the vector unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from axsim.graph.clamps import absorbed
from axsim.graph.ir import DTYPE_BITS, FLOATS, Graph, Node, Tensor
from axsim.graph.operator import Work
from axsim.graph.ops import OPERATORS
from axsim.spec.power import MAC_TYPES, MacType

Unit = Literal["conv", "teng"]


@dataclass(frozen=True)
class Matmul:
    """``batch`` products [rows, inner] x [inner, columns]; ``left`` and ``right`` are dtypes.
    Heads that share keys are joined along the rows, ``rows_per_head`` each. Rows of a convolution
    are the pixels of an image of this ``width``; it is 0 for any other product."""

    batch: int
    rows: int
    inner: int
    columns: int
    left: str
    right: str
    right_is_weight: bool
    rows_per_head: int = 0
    width: int = 0
    depthwise: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding not counted."""
        return self.batch * self.rows * self.inner * self.columns

    @property
    def mac_type(self) -> MacType:
        """What it multiplies, as its energy goes by."""
        if self.left in FLOATS:
            return "bf16"
        wide = sum(DTYPE_BITS[dtype] > 8 for dtype in (self.left, self.right))
        return MAC_TYPES[wide]

    @property
    def keys(self) -> int:
        """Keys of an attention product: the columns of the scores, the inner dimension of the
        context."""
        return max(self.inner, self.columns)

    @property
    def loads_in_turn(self) -> bool:
        """Whether weights are loaded tile by tile between the products, not ahead of them.

        So in float graphs of many rows: InternVL3.5-1B's S8 layers take 0.41 ms longer than its S4
        layers (P037 to P045 and their S8 twins) whatever the history, which is the difference of
        their bytes over the bandwidth; were loads hidden behind products, it would be nothing. A
        single row, in decode, has no products worth waiting for: P033, P055, P063 and all heads
        take their bytes over the bandwidth.
        """
        return self.right_is_weight and self.left in FLOATS and self.rows > 1


@dataclass
class Operation:
    """A step being built; ``index`` is its place in program order.

    ``reads`` and ``writes`` are tensors that live in on-chip memory or DRAM (views resolved);
    ``shares`` says how much of each it reads (a view of Q, K and V together shows a third);
    ``vector_reads`` are those that only vector work reads; ``weights`` come from DRAM as
    parameters; ``bits`` is the width of the vector work, some of which pools ``windows``.
    """

    index: int
    label: str
    operator: str
    unit: Unit
    nodes: list[str]
    matmul: Matmul | None = None
    vector_ops: int = 0
    transcendentals: int = 0
    bits: int = 0
    windows: bool = False
    reads: list[str] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)
    vector_reads: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the product, if there is one."""
        return self.matmul.macs if self.matmul else 0

    @property
    def loads_in_turn(self) -> bool:
        """Whether its weights are loaded tile by tile between the products: see
        :attr:`Matmul.loads_in_turn`."""
        return self.matmul is not None and self.matmul.loads_in_turn

    @property
    def attention(self) -> bool:
        """Whether it multiplies two activations."""
        return self.matmul is not None and not self.matmul.right_is_weight

    @property
    def vector_work(self) -> int:
        """Element operations of every kind on the vector unit."""
        return self.vector_ops + self.transcendentals


@dataclass(frozen=True, eq=False)
class Lowered:
    """Operations of a graph in order; ``outputs`` maps the tensors that hold the graph's outputs to
    the bytes in which they leave; ``wide`` are 8-bit tensors that the compiler keeps in 16 bits."""

    graph: Graph
    operations: tuple[Operation, ...]
    outputs: Mapping[str, int]
    wide: frozenset[str]

    def bytes(self, name: str) -> int:
        """Bytes of a tensor as the compiler stores it."""
        return self.graph.tensors[name].bytes * (2 if name in self.wide else 1)


def lower(graph: Graph, float_matmul_on_conv: bool = False) -> Lowered:
    """The operations of ``graph``, in program order."""
    return _Lowering(graph, float_matmul_on_conv).run()


def is_free(graph: Graph, node: Node) -> bool:
    """Whether ``node`` takes no time on any engine. A cast of the graph's input does: pixels are
    read by the vector unit."""
    operator = OPERATORS[node.op]
    reads_pixels = operator.role == "cast" and graph.tensors[node.inputs[0]].kind == "input"
    return operator.is_free and not reads_pixels


class _Lowering:
    def __init__(self, graph: Graph, float_matmul_on_conv: bool) -> None:
        self._graph = graph
        self._float_on_conv = float_matmul_on_conv
        self._limited = absorbed(graph)
        self._readers = Counter(name for node in graph.nodes for name in node.inputs)
        self._operations: list[Operation] = []
        self._roots: dict[str, tuple[str, ...]] = {}
        self._behind: dict[str, list[Tensor]] = {}
        self._loaded: set[str] = set()
        self._waiting: list[str] = []  # views of graph inputs, before any operation
        self._maker: dict[str, Operation] = {}
        self._wide = _read_by_norms(graph)

    def run(self) -> Lowered:
        for node in self._graph.nodes:
            if is_free(self._graph, node):
                self._view(node)
            else:
                self._compute(node)
        tensors = self._graph.tensors
        outputs: dict[str, int] = {}
        for name in self._graph.outputs:
            roots = self._root(name)
            whole = self._elements(roots)
            for root in roots:
                outputs[root] = tensors[name].bytes * tensors[root].elements // whole
        return Lowered(self._graph, tuple(self._operations), outputs, self._wide)

    def _root(self, name: str) -> tuple[str, ...]:
        return self._roots.get(name, (name,))

    def _elements(self, names: Sequence[str]) -> int:
        return sum(self._graph.tensors[name].elements for name in names)

    def _weights(self, name: str) -> list[Tensor]:
        """The weight called ``name``, or those that the view of that name shows."""
        tensor = self._graph.tensors[name]
        return [tensor] if tensor.kind == "weight" else self._behind.get(name, [])

    def _view(self, node: Node) -> None:
        roots = tuple(
            root
            for name in node.inputs
            if name and self._graph.tensors[name].kind not in ("weight", "constant")
            for root in self._root(name)
        )
        behind = [weight for name in node.inputs if name for weight in self._weights(name)]
        for output in node.outputs:
            self._roots[output] = roots
            self._behind[output] = behind
        makers = [self._maker[root] for root in roots if root in self._maker]
        if makers:
            max(makers, key=lambda maker: maker.index).nodes.append(node.name)
        elif self._operations:
            # It needs no result, and whatever reads it may be part of any operation.
            self._operations[0].nodes.append(node.name)
        else:
            self._waiting.append(node.name)

    def _compute(self, node: Node) -> None:
        graph = self._graph
        inputs = [name for name in node.inputs if name]
        operator = OPERATORS[node.op]
        work = operator.work(graph.shapes(inputs), graph.shapes(node.outputs), node.attrs)
        if node.inputs[0] in self._limited and graph.tensors[node.outputs[0]].dtype not in FLOATS:
            work = Work()  # requantisation saturates at the limits
        is_matrix = operator.role == "matrix"
        operation = self._matrix(node) if is_matrix else self._vector(node, work)
        for name in inputs:
            for weight in self._weights(name):
                if weight.name not in self._loaded:
                    self._loaded.add(weight.name)
                    operation.weights.append(weight)
            if graph.tensors[name].kind not in ("weight", "constant"):
                roots = self._root(name)
                share = graph.tensors[name].elements / (self._elements(roots) or 1)
                for root in roots:
                    inside = self._maker.get(root) is operation
                    if not inside:
                        operation.shares[root] = min(1.0, operation.shares.get(root, 0.0) + share)
                    if not inside and root not in operation.reads:
                        operation.reads.append(root)
                        if not is_matrix:
                            operation.vector_reads.add(root)
        main = node.outputs[0]
        for output in node.outputs:
            self._maker[output] = operation
        operation.writes = [main]
        operation.nodes.append(node.name)

    def _matrix(self, node: Node) -> Operation:
        graph = self._graph
        left, right = (graph.tensors[name] for name in node.inputs[:2])
        out = graph.tensors[node.outputs[0]]
        is_weight = right.kind in ("weight", "constant")
        if node.op == "ConvTranspose":
            # Every position of the input makes one of the output's windows.
            rows = left.elements // left.shape[1]
            inner = left.shape[1] // node.attrs.get("group", 1)
            columns = right.elements // inner
            matmul = Matmul(1, rows, inner, columns, left.dtype, right.dtype, True)
        elif node.op == "Conv":
            rows, columns = out.elements // out.shape[1], out.shape[1]
            inner = right.elements // columns
            matmul = Matmul(
                1,
                rows,
                inner,
                columns,
                left.dtype,
                right.dtype,
                True,
                width=out.shape[-1] if _slides(node, right) else 0,
                depthwise=node.attrs.get("group", 1) == columns > 1,
            )
        elif node.op == "Gemm":
            rows, columns = out.shape
            matmul = Matmul(
                1, rows, left.elements // rows, columns, left.dtype, right.dtype, is_weight
            )
        else:
            rows, columns = out.shape[-2:]
            batch = out.elements // (rows * columns)
            matmul = Matmul(
                batch, rows, left.shape[-1], columns, left.dtype, right.dtype, is_weight
            )
            matmul = _join_shared(matmul, right)
        floats = not is_weight and left.dtype in FLOATS
        unit: Unit = "teng" if floats and not self._float_on_conv else "conv"
        if node.op in ("Conv", "ConvTranspose"):
            operator = "convolution"
        else:
            operator = "projection" if is_weight else "attention matmul"
        operation = self._new(node, operator, unit)
        operation.matmul = matmul
        operation.bits = _compute_bits(out.dtype)
        return operation

    def _vector(self, node: Node, work: Work) -> Operation:
        graph = self._graph
        operator = OPERATORS[node.op]
        operation = self._chain(node)
        if operation is None:
            operation = self._new(node, operator.report_class, "teng")
        elif operator.report_class != "elementwise" and operation.matmul is None:
            operation.operator = operator.report_class
        operation.vector_ops += work.passes + work.moves
        operation.transcendentals += work.transcendentals
        operation.windows |= "kernel_shape" in node.attrs
        names = [*(name for name in node.inputs if name), node.outputs[0]]
        widths = [
            16 if n in self._wide else _compute_bits(graph.tensors[n].dtype)
            for n in names
            if _streamed(graph.tensors[n])
        ]
        operation.bits = max([operation.bits, *widths])
        return operation

    def _chain(self, node: Node) -> Operation | None:
        """The step that ``node`` can join: it alone reads that step's result."""
        last = self._operations[-1] if self._operations else None
        if last is None:
            return None
        result = last.writes[0]
        if result not in node.inputs or self._readers[result] != 1:
            return None
        return None if self._graph.tensors[result].kind == "output" else last

    def _new(self, node: Node, operator: str, unit: Unit) -> Operation:
        operation = Operation(len(self._operations), node.name, operator, unit, self._waiting)
        self._waiting = []
        self._operations.append(operation)
        return operation


def _slides(node: Node, kernel: Tensor) -> bool:
    """Whether a convolution is one of an image, not the product that cuts it into patches."""
    taps = list(kernel.shape[2:])
    return max(taps) == 1 or taps != list(node.attrs.get("strides") or [1] * len(taps))


def _read_by_norms(graph: Graph) -> frozenset[str]:
    """8-bit activations that a normalisation reads, itself or through views: the sums along the
    residual path.

    An operator's output is stored in the type that its consumer wants [Pulsar2 documentation,
    precision guide], and norms of integer towers compute in 16 bits: with 8 bits AX630C's U8 towers
    (P002, P006, P015) come out a quarter fast, with 32 both chips' towers slow. Numbers are not
    computed so: see :mod:`axsim.numerics.integer_graph`.
    """
    wanted = {node.inputs[0] for node in graph.nodes if OPERATORS[node.op].role == "norm"}
    for node in reversed(graph.nodes):
        if is_free(graph, node) and wanted.intersection(node.outputs):
            wanted.update(name for name in node.inputs if name)
    tensors = graph.tensors
    return frozenset(
        name
        for name in wanted
        if tensors[name].kind == "activation" and tensors[name].dtype in ("u8", "s8")
    )


def _join_shared(matmul: Matmul, right: Tensor) -> Matmul:
    """Heads that share one right operand (grouped queries) are rows of one product."""
    batches = right.elements // (matmul.inner * matmul.columns)
    rows = matmul.rows * (matmul.batch // batches)
    return replace(matmul, batch=batches, rows=rows, rows_per_head=matmul.rows)


def _compute_bits(dtype: str) -> int:
    """Width in the vector unit: floating point is computed in 32 bits, whatever its storage."""
    return 32 if dtype in FLOATS else DTYPE_BITS[dtype]


def _streamed(tensor: Tensor) -> bool:
    return tensor.kind not in ("weight", "constant") and not tensor.dtype.startswith("u32")
