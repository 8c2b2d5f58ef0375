"""The message of an import that is refused."""


def refusal_of_import(problems: int, refused: int, rows: int, reported: int) -> str:
    """Return the message for `problems` in `refused` of `rows` rows, of which at most `reported` are listed."""
    rest = f" (the first {reported} are listed)" if problems > reported else ""
    return f"Nothing was imported: {_counted(problems, 'problem')} in {refused:,} of {_counted(rows, 'row')}{rest}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
