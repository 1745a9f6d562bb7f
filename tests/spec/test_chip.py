"""Chip descriptors: the knobs, what contradicts what, NPU modes and the compiler's own chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from axsim.errors import InputError
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import shipped

AX630C, AX650N = load_chip("ax630c"), load_chip("ax650n")


def refused(chip: str | Path, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(InputError) as error:
        load_chip(chip, overrides or {})
    return str(error.value)


def edited(tmp_path: Path, chip: str, **keys: Any) -> Path:
    """The shipped file with dotted keys (``npu__int8_tops``) set, or removed by None."""
    document = yaml.safe_load(shipped("chip")[chip].read_text())
    for key, value in keys.items():
        *parents, last = key.split("__")
        section = document
        for parent in parents:
            section = section[parent]
        if value is None:
            del section[last]
        else:
            section[last] = value
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("name", sorted(shipped("chip")))
def test_every_shipped_chip_has_its_modes_and_rates(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    for mode in chip.modes:
        found = chip.mode(mode)
        assert 1 <= found.groups <= chip.npu.resource_groups
        assert 0 < found.ocm_bytes <= chip.ocm_bytes
    whole = chip.mode(chip.default_mode)
    assert whole.groups == chip.npu.resource_groups
    assert whole.ocm_bytes == chip.ocm_bytes
    assert chip.sustained_gbps < chip.dram.bandwidth_gbps


def test_structure_gives_the_rated_tops_of_ax630c_and_the_lower_figure_of_ax650n() -> None:
    assert AX630C.structural_int8_tops == pytest.approx(AX630C.rated["int8"].value, rel=0.03)
    # 18 TOPS against 12.3 from the structure: both stand, neither is used for the other.
    assert AX650N.rated["int8"].value == 18
    assert AX650N.structural_int8_tops == pytest.approx(12.288)


def test_tops_set_the_rate_of_the_array() -> None:
    doubled = load_chip("ax650n", {"npu.int8_tops": 2 * AX650N.structural_int8_tops})
    assert doubled.int8_macs_per_cycle == pytest.approx(2 * AX650N.int8_macs_per_cycle)
    assert doubled.structural_int8_tops == pytest.approx(2 * AX650N.structural_int8_tops)


def test_macs_per_cycle_replace_given_tops(tmp_path: Path) -> None:
    path = edited(tmp_path, "ax630c", npu__int8_tops=3.2, npu__conv__int8_macs_per_cycle=None)
    assert load_chip(path).int8_macs_per_cycle == pytest.approx(2000)
    chip = load_chip(path, {"npu.conv.int8_macs_per_cycle": 512})
    assert chip.int8_macs_per_cycle == 512
    assert chip.structural_int8_tops == pytest.approx(0.8192)


def test_tops_that_agree_with_the_structure_may_stand_beside_it(tmp_path: Path) -> None:
    chip = load_chip(edited(tmp_path, "ax650n", npu__int8_tops=12.3))
    assert chip.int8_macs_per_cycle == 1024


def test_tops_that_contradict_the_structure_in_one_file(tmp_path: Path) -> None:
    said = refused(edited(tmp_path, "ax650n", npu__int8_tops=18))
    assert "npu.int8_tops: says 18 TOPS, but 6 CONV × 1024 MACs × 2 at 1000 MHz" in said
    assert "12.29 TOPS" in said
    assert "npu.conv.int8_macs_per_cycle" in said


def test_knob_and_structure_that_contradict_in_the_settings() -> None:
    said = refused("ax630c", {"npu.int8_tops": 9, "npu.conv.int8_macs_per_cycle": 2048})
    assert "--set chip.npu.int8_tops=9" in said
    assert "npu.conv.int8_macs_per_cycle" in said


def test_an_array_without_any_rate(tmp_path: Path) -> None:
    said = refused(edited(tmp_path, "ax630c", npu__conv__int8_macs_per_cycle=None))
    assert "npu.conv.int8_macs_per_cycle: is missing; allowed: this or npu.int8_tops" in said


def test_bandwidth_by_peak_or_by_data_rate() -> None:
    assert AX650N.dram.bandwidth_gbps == pytest.approx(34.128)
    by_peak = load_chip("ax650n", {"dram.peak_gbps": 50})
    assert by_peak.dram.bandwidth_gbps == 50
    assert by_peak.dram.data_rate_mtps is None
    by_rate = load_chip("ax650n", {"dram.data_rate_mtps": 6400})
    assert by_rate.dram.bandwidth_gbps == pytest.approx(51.2)
    by_width = load_chip("ax630c", {"dram.width_bits": 16})
    assert by_width.dram.bandwidth_gbps == pytest.approx(AX630C.dram.bandwidth_gbps / 2)
    assert by_width.sustained_gbps == pytest.approx(AX630C.sustained_gbps / 2)


def test_a_peak_that_contradicts_width_and_rate(tmp_path: Path) -> None:
    agreeing = edited(tmp_path, "ax650n", dram__peak_gbps=34.1)
    assert load_chip(agreeing).dram.bandwidth_gbps == 34.1
    said = refused(edited(tmp_path, "ax650n", dram__peak_gbps=60))
    assert "dram.peak_gbps: says 60 GB/s, but 64 bits at 4266 MT/s give 34.1 GB/s" in said
    assert "dram.width_bits" in said
    assert "dram.data_rate_mtps" in said
    assert "dram.data_rate_mtps: is missing" in refused(
        edited(tmp_path, "ax650n", dram__data_rate_mtps=None)
    )


def test_resource_groups_redefine_the_modes() -> None:
    assert AX650N.modes == {"NPU1": 1, "NPU2": 2, "NPU3": 3}
    four = load_chip("ax650n", {"npu.resource_groups": 4})
    assert four.modes == {"NPU1": 1, "NPU2": 2, "NPU3": 4}
    assert four.structural_int8_tops == pytest.approx(AX650N.structural_int8_tops * 4 / 3)
    # a mode is there only when it joins more groups than the one before
    assert load_chip("ax650n", {"npu.resource_groups": 2}).modes == {"NPU1": 1, "NPU2": 2}
    assert load_chip("ax650n", {"npu.resource_groups": 1}).modes == {"NPU1": 1}


def test_resource_groups_end_the_time_sharing_of_one_group() -> None:
    two = load_chip("ax630c", {"npu.resource_groups": 2})
    assert two.mode("NPU1").ocm_bytes == pytest.approx(two.ocm_bytes / 2)
    assert two.mode("NPU2").ocm_bytes == pytest.approx(two.ocm_bytes)


def test_modes_that_join_more_groups_than_there_are(tmp_path: Path) -> None:
    said = refused(edited(tmp_path, "ax650n", npu__resource_groups=2))
    assert "npu.modes.NPU3: joins 3 groups, more than npu.resource_groups; allowed: up to 2" in said


def test_memory_shares_of_modes_that_are_not_there_or_more_than_all(tmp_path: Path) -> None:
    said = refused(edited(tmp_path, "ax630c", npu__mode_ocm={"NPU3": 0.5}))
    assert "npu.mode_ocm.NPU3: belongs to no mode; allowed: NPU1, NPU2" in said
    said = refused(edited(tmp_path, "ax630c", npu__mode_ocm={"NPU1": 1.5}))
    assert "npu.mode_ocm.NPU1: found 1.5; allowed: " in said


def test_an_unknown_mode_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"ax630c has no NPU mode 'NPU3'; allowed: NPU1, NPU2"):
        AX630C.mode("NPU3")


def test_a_mode_has_its_groups_share_of_the_memory() -> None:
    assert AX650N.mode("NPU1").ocm_bytes == pytest.approx(AX650N.ocm_bytes / 3)
    # AX630C's NPU1 takes turns on the whole array with half of the memory
    assert AX630C.mode("NPU1").groups == AX630C.mode("NPU2").groups == 1
    assert AX630C.mode("NPU1").ocm_bytes == pytest.approx(AX630C.mode("NPU2").ocm_bytes / 2)


def test_memory_is_published_or_calibrated_but_not_both(tmp_path: Path) -> None:
    assert AX650N.calibrated.ocm_bytes is None
    assert AX650N.ocm_bytes == AX650N.npu.ocm_bytes
    given = load_chip("ax630c", {"calibrated.ocm_bytes": 3_000_000})
    assert (given.ocm_bytes, given.npu.ocm_bytes) == (3_000_000, None)
    again = load_chip("ax630c", {"npu.ocm_bytes": 3_000_000})
    assert (again.ocm_bytes, again.calibrated.ocm_bytes) == (3_000_000, None)


def test_what_the_board_support_package_documents_is_not_fitted() -> None:
    ax620q = load_chip("ax620q")
    assert (AX630C.calibrated.clock_mhz, ax620q.calibrated.clock_mhz) == (800, 594)
    assert AX630C.ocm_bytes == ax620q.ocm_bytes == 2_621_440
    assert (AX630C.dram.width_bits, ax620q.dram.width_bits) == (32, 16)
    assert 854 <= AX650N.calibrated.clock_mhz <= 955
    for chip in (AX630C, AX650N, ax620q):
        assert "clock_mhz" in chip.fixed
    assert ax620q.structural_int8_tops == pytest.approx(ax620q.rated["int8"].value, rel=0.03)
    # the ratio of the two that ResNet50 takes, 7.573 and 5.616 ms
    ratio = AX630C.calibrated.clock_mhz / ax620q.calibrated.clock_mhz
    assert ratio == pytest.approx(7.573 / 5.616, rel=2e-3)


def test_ax620q_is_ax630cs_npu_in_all_but_its_clock() -> None:
    ax620q = load_chip("ax620q")
    own = ax620q.calibrated.model_copy(update={"clock_mhz": AX630C.calibrated.clock_mhz})
    assert own == AX630C.calibrated
    assert set(ax620q.borrowed.values()) == {"ax630c"}


def test_fixed_values_name_calibrated_parameters(tmp_path: Path) -> None:
    assert "fixed.clock: is no calibrated parameter" in refused(
        edited(tmp_path, "ax650n", fixed__clock="a guess")
    )


def test_memory_must_be_said_once_at_least(tmp_path: Path) -> None:
    said = refused(edited(tmp_path, "ax650n", calibrated__ocm_bytes=5e6))
    assert "npu.ocm_bytes: says 11534336 bytes; a published size is not calibrated" in said
    assert "calibrated.ocm_bytes" in said
    assert "npu.ocm_bytes: is missing; allowed: this or calibrated.ocm_bytes" in refused(
        edited(tmp_path, "ax650n", npu__ocm_bytes=None)
    )


def test_the_compilers_chip_runs_at_the_nominal_clock_with_its_own_memory_rate() -> None:
    nominal = AX650N.nominal()
    assert nominal.calibrated.clock_mhz == AX650N.npu.nominal_clock_mhz == 1000
    bytes_per_cycle = nominal.sustained_gbps * 1e3 / nominal.calibrated.clock_mhz
    assert bytes_per_cycle == pytest.approx(AX650N.dram.compiler_bytes_per_cycle)
    assert nominal.npu == AX650N.npu
    assert nominal.calibrated.bf16_divisor == AX650N.calibrated.bf16_divisor
    assert AX650N.calibrated.clock_mhz != 1000  # the chip itself is untouched


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("calibrated.dram_efficiency", 1.2),
        ("calibrated.clock_mhz", 0),
        ("dram.data_rate_mtps", 0),
        ("npu.resource_groups", 0),
        ("npu.conv_per_group", -1),
        ("npu.attention_key_tile", 0),
        ("npu.step_us", -1),
        ("cpu.clock_mhz", 0),
        ("cpu.cores", 0),
    ],
)
def test_impossible_values_are_refused_where_they_stand(key: str, value: float) -> None:
    assert f"--set chip.{key}={value}: {key}: found {value};" in refused("ax650n", {key: value})


def test_a_chip_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        AX650N.name = "other"  # type: ignore[misc]
    assert isinstance(AX650N, Chip)


def test_a_card_is_the_silicon_behind_a_link() -> None:
    card = load_chip("ax8850_card")
    assert card.like == card.silicon == AX650N.name
    assert AX650N.silicon == AX650N.name
    assert (card.npu, card.calibrated, card.cpu) == (AX650N.npu, AX650N.calibrated, AX650N.cpu)
    assert (card.host.link, AX650N.host.link) == ("pcie", None)
    assert card.dram.npu_bytes == 7040 * 2**20
    assert card.times_as(AX650N)
    for key, value in (("npu.step_us", 2), ("dram.peak_gbps", 40), ("host.decode_layer_ms", 1)):
        assert not load_chip("ax8850_card", {key: value}).times_as(AX650N)


def test_what_is_said_replaces_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "fast.yaml"
    path.write_text("name: fast\nlike: ax630c\ndram: {peak_gbps: 12.8}\nrated: {}\n")
    fast = load_chip(path)
    assert fast.dram.bandwidth_gbps == 12.8  # the data rate of ax630c says the same otherwise
    assert fast.dram.width_bits == 32
    assert fast.description == ""
    assert load_chip(path, {"dram.data_rate_mtps": 2400}).times_as(AX630C)
    path.write_text("name: fast\nlike: ax630c\ncpu: {clock_mhz: fast}\n")
    assert f"{path.name}:3" in refused(path)


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ("ax630d", "like: no chip is named 'ax630d'; did you mean 'ax630c'?"),
        ("ax8850_card", "like: ax8850_card is like another chip itself"),
        ("[ax630c]", "like: found ['ax630c']; allowed: a chip"),
    ],
)
def test_a_chip_is_like_a_whole_one(tmp_path: Path, like: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nlike: {like}\n")
    found = refused(path)
    assert said in found
    assert "mine.yaml:2" in found


def test_what_contradicts_in_a_host_and_a_dram() -> None:
    assert "pcie_ms_span: says 0.2 to 0.4 ms, but pcie_ms is 0.18" in refused(
        "ax650n", {"host.pcie_ms_span": (0.2, 0.4)}
    )
    assert load_chip("ax650n", {"host.pcie_ms": 0.7}).host.pcie_ms_span is None
    assert "npu_bytes: found 9000000000; allowed: up to 8589934592" in refused(
        "ax650n", {"dram.npu_bytes": 9 * 10**9}
    )
    assert "host.link: found 'usb'" in refused("ax650n", {"host.link": "usb"})
