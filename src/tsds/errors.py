"""The exceptions that users see. Each prints as one line: where, what is wrong, how to mend it."""

from __future__ import annotations

from os import PathLike


class TsdsError(Exception):
    """Base of every error raised on purpose; the command prints it without a traceback."""

    exit_code = 1


class InputError(TsdsError):
    """Bad input or wrong usage: the caller can mend it (exit code 2).

    Args:
      problem: what is wrong, in a few words.
      path: the file it is in, if it is in one.
      line: the line of that file, counted from 1.
      row: the row of an array or table, counted from 0.
      remedy: what to do about it.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        path: str | PathLike[str] | None = None,
        line: int | None = None,
        row: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.path, self.line, self.row, self.remedy = problem, path, line, row, remedy
        place = "" if path is None else str(path)
        if line is not None:
            place += f", line {line}"
        if row is not None:
            place += f", row {row}"
        message = f"{place.lstrip(', ')}: {problem}" if place else problem
        if remedy:
            message += f" ({remedy})"
        super().__init__(" ".join(message.split()))


class BudgetError(InputError):
    """The size asked for can't be met."""


class MissingExtra(InputError):
    """A feature needs a package that is not installed.

    Args:
      feature: what was asked for.
      extra: the optional dependency group that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an extra that is not installed", remedy=f"pip install '.[{extra}]' in a clone of tsds"
        )


class RunError(TsdsError):
    """The run failed for a reason that is not the input's (exit code 1)."""


def check_path(path: str | PathLike[str], name: str | None = None) -> None:
    """Raise InputError at an empty path, of an option of this name: the system would take the current folder for it."""
    if not str(path):
        raise InputError("no path is given", path=name, remedy="is a shell variable empty?")


def check_utf8(name: str) -> None:
    """Raise InputError at a name of a file, or an argument, that run.json and the page could not hold: not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        seen = name.encode("utf-8", "backslashreplace").decode()
        raise InputError("the name is not UTF-8", path=seen, remedy="rename it") from None
