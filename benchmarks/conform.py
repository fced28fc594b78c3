"""Cases that schemathesis makes up from a server's OpenAPI document, and whether every answer is as documented."""

from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

NOT_MEANT = [positive_data_acceptance, negative_data_rejection]
"""A schema cannot say which bytes are a picture, nor that a form's other fields are not looked at."""
TIMEOUT_S = 60.0
MAX_ROUNDS = 20


@dataclass
class Conformance:
    """What became of the cases."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def check(address: str, n_cases: int, number: int = 0) -> Conformance:
    """Send about so many cases, half of them against the document.

    Args:
        address: of a running server.
        n_cases: of all operations together.
        number: seed.
    """
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in document.get_all_operations()]
    found = Conformance()
    # Operations without parameters have one case; the others make up for them in further rounds.
    for round_number in range(MAX_ROUNDS):
        n = -(-(n_cases - found.cases) // (2 * len(operations)))
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _check(operation, mode, n, 1000 * number + round_number, found)
        operations = [operation for operation in operations if found.by_operation[operation.label] > 2]
        if found.cases >= n_cases or not operations:
            break
    return found


def _check(operation: APIOperation, mode: GenerationMode, n: int, number: int, found: Conformance) -> None:
    cases = operation.as_strategy(generation_mode=mode)

    @seed(number)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(case=cases)
    def run(case: Case) -> None:
        found.cases += 1
        found.by_operation[operation.label] += 1
        answer = case.call(timeout=TIMEOUT_S)
        found.statuses[answer.status_code] += 1
        case.validate_response(answer, excluded_checks=NOT_MEANT)

    try:
        run()
    except Unsatisfiable:
        # Nothing can be wrong about an operation that takes nothing.
        return
    # Schemathesis and Hypothesis have many kinds; each is a finding.
    except Exception as e:
        parts = getattr(e, "exceptions", [e])
        found.findings += [f"{operation.label}: {' '.join(f'{type(p).__name__}: {p}'.split())[:600]}" for p in parts]
