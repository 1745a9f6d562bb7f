"""What a tenant answers requests with: its model, compiled for its partition."""

from __future__ import annotations

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.spec.chip import Chip
from axsim.spec.descriptor import override
from axsim.spec.scenario import Scenario
from axsim.spec.tenant import Tenant
from axsim.system.network_names import check_names


class Deployed:
    """The model of the tenant ``name`` in the NPU mode of its partition.

    Raises:
        InputError: the workload is wrong, or built for another NPU mode.
    """

    def __init__(self, scenario: Scenario, name: str, chip: Chip) -> None:
        self.name = name
        self.tenant: Tenant = scenario.tenants[name]
        self.partition = partition_of(scenario, self.tenant)
        self._scenario = scenario
        mode = partitions_of(scenario, chip)[self.partition]
        wanted = self.tenant.set.get("build.npu_mode", mode)
        if wanted != mode:
            what = f"found {wanted}, on a partition of {mode}"
            key = f"tenants.{name}.set.build.npu_mode"
            raise InputError(scenario.problem(key, what, "nothing: the partition says it"))
        self.deployment = Deployment(scenario.workload(name, {"build.npu_mode": mode}), chip)
        check_names(self.deployment)
        self._prompts: dict[int, Deployment] = {}

    @property
    def turns(self) -> tuple[Deployment, ...]:
        """Each turn of a conversation; one where there are no further ones."""
        return self.deployment.turns

    def of(self, prompt_tokens: int | None) -> Deployment:
        """The deployment for a prompt of its own length.

        Raises:
            InputError: the model can't take so many tokens.
        """
        if prompt_tokens is None:
            return self.deployment
        if prompt_tokens not in self._prompts:
            try:
                workload = override(
                    self.deployment.workload, {"request.prompt_tokens": prompt_tokens}
                )
            except InputError as error:
                key = f"tenants.{self.name}.arrivals.csv"
                raise InputError(
                    self._scenario.problem(key, each.what, each.allowed) for each in error.problems
                ) from None
            self._prompts[prompt_tokens] = self.deployment.with_workload(workload)
        return self._prompts[prompt_tokens]


def partitions_of(scenario: Scenario, chip: Chip) -> dict[str, str]:
    """NPU modes by the name of the partition."""
    return {name: str(mode) for name, mode in scenario.partitions.items()} or {
        "npu": chip.default_mode
    }


def partition_of(scenario: Scenario, tenant: Tenant) -> str:
    """Where a tenant runs."""
    return tenant.partition or next(iter(scenario.partitions), "npu")
