"""What tenants and the chip that they share draw, where the chip's file says what its units do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axsim.spec.power import PowerSection
from axsim.system.energy import Account, ChipWork


@dataclass(frozen=True)
class TenantEnergy:
    """``joules`` beyond those of an idle chip. For each request, image and further token
    millijoules with the idle watts of the time that it takes, as ``axsim run`` has them; None where
    there are none."""

    joules: float
    request_mj: float | None = None
    image_mj: float | None = None
    token_mj: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the names of metrics where they are those."""
        values = self.joules, self.request_mj, self.image_mj, self.token_mj
        return dict(zip(TENANT_COLUMNS, values, strict=True))


TENANT_COLUMNS = (
    "energy_j", "energy_per_request_mj", "energy_per_image_mj", "energy_per_token_mj",
)  # fmt: skip
"""What rows and JSON call them, of each tenant."""


@dataclass(frozen=True)
class ChipEnergy:
    """What the chip draws in ``seconds``: ``idle_j`` whoever is there, ``models_j`` for requests,
    ``background_j`` for all others; of the tenants ``not_counted`` nobody knows which units they
    use. ``source`` says how watts were measured."""

    seconds: float
    idle_j: float
    models_j: float
    background_j: float
    not_counted: tuple[str, ...]
    source: str

    @property
    def total_j(self) -> float:
        """All of it."""
        return self.idle_j + self.models_j + self.background_j

    @property
    def mean_w(self) -> float:
        """Watts on average."""
        return self.total_j / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {name: getattr(self, name) for name in (*CHIP_COLUMNS, "seconds")}
        return {**found, "not_counted": list(self.not_counted), "source": self.source}


CHIP_COLUMNS = ("total_j", "idle_j", "models_j", "background_j", "mean_w")
"""What rows have of the chip, as ``energy.total_j``."""


def tenant_energy(
    power: PowerSection | None, account: Account | None, work: ChipWork | None
) -> TenantEnergy | None:
    """Of requests by their ``account``, of other tenants by the ``work`` that they did; None where
    that is not known, or the chip does not say what it draws."""
    if power is None:
        return None
    if account is None:
        return None if work is None else TenantEnergy(work.mj(power) / 1e3)
    with_idle = account.beyond_mj + power.idle_w * account.own_ms
    return TenantEnergy(
        account.beyond_mj / 1e3,
        with_idle / account.requests if account.requests else None,
        account.images_mj / account.images if account.images else None,
        account.tokens_mj / account.tokens if account.tokens else None,
    )
