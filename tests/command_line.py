"""Commands run in this process."""

from __future__ import annotations

import json

from typer.testing import CliRunner, Result

from medloop.cli import build_app


def run(
    *arguments: object,
    error: type[BaseException] | None = None,
    exit_code: int = 0,
    text: str = "",
) -> Result:
    result = CliRunner().invoke(build_app(), [str(argument) for argument in arguments], input=text)
    if error is None:
        assert result.exit_code == exit_code, (result.output, result.exception)
    else:
        assert isinstance(result.exception, error), (result.output, result.exception)
    return result


def records(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]
