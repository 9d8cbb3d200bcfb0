"""Which model an analysis of the order mechanism is of, when a config was asked for.

subject = subject_of(config, checkpoint)
trained = load_or_train(subject.config, checkpoint=checkpoint)
check_claims("05_circuit", subject.claims(claims, subject.config))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from listcomp_utils.circuit.formula import check_architecture
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError

if TYPE_CHECKING:
    from listcomp_utils.notebook.claims import Claim


class Subject(NamedTuple):
    """The models to analyse, the study preset's in the place of one that cannot be.

    `config` has the order mechanism, `formula` the closed form, of any number of digits and layers;
    `because` says why `config` is not the one asked for and is empty when it is.
    """

    asked: Config
    config: Config
    formula: Config
    because: str = ""

    def claims(self, claims: Iterable[Claim], of: Config) -> list[Claim]:
        """Claims about the model of a config; of a stand-in: under its name, not checked."""
        if of == self.asked:
            return list(claims)
        return [replace(claim, name=f"{of.slug}: {claim.name}", holds=None) for claim in claims]


def subject_of(config: Config, checkpoint: str | None = None) -> Subject:
    """The models to analyse; raises ConfigError where a checkpoint's would need a stand-in."""
    try:
        check_pairs(config)
        return Subject(config, config, config)
    except ConfigError as error:
        if checkpoint is not None:
            raise ConfigError(f"checkpoint {checkpoint!r} cannot be analysed: {error}") from None
        because, study = str(error), Config.preset("study", device=config.device)
    try:
        check_architecture(config)
        return Subject(config, study, config, because)
    except ConfigError:
        return Subject(config, study, study, because)
