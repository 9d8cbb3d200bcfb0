"""Which model an analysis of the order mechanism is of, when a config was asked for.

subject = subject_of(config, checkpoint)
trained = load_or_train(subject.config, checkpoint=checkpoint)
subject.stands_in                          # why another model than the asked one, "" when not
check_claims("05_circuit", subject.claims(claims))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from listcomp_utils.circuit.formula import check_architecture
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.notebook.claims import Claim


@dataclass(frozen=True)
class Subject:
    """The models to analyse."""

    config: Config
    """Has the order mechanism: the config asked for, or else the study preset."""
    formula: Config
    """Has the closed form: the config asked for, or else the study preset."""
    stands_in: str = ""
    """Why `config` is not the one asked for; empty when it is."""

    def claims(self, claims: Iterable[Claim]) -> list[Claim]:
        """The claims as they are, or of a stand-in: under its name, shown and not checked."""
        if not self.stands_in:
            return list(claims)
        return [
            replace(claim, name=f"{self.config.slug}: {claim.name}", holds=None) for claim in claims
        ]


def subject_of(config: Config, checkpoint: str | None = None) -> Subject:
    """The models that can be analysed where `config` was asked for, with or without a checkpoint.

    Raises:
        ConfigError: for a checkpoint beside a config without the order mechanism, as no other model
            can take its place.
    """
    try:
        check_pairs(config)
        return Subject(config, config)
    except ConfigError as error:
        if checkpoint is not None:
            raise ConfigError(f"checkpoint {checkpoint!r} cannot be analysed: {error}") from None
        reason, study = str(error), Config.preset("study", device=config.device)
    try:
        check_architecture(config)
    except ConfigError:
        return Subject(study, study, reason)
    return Subject(study, config, reason)
