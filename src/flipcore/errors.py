"""What goes wrong at the boundary, each with the exit code of the command that meets it."""


class FlipcoreError(Exception):
    """Base of all errors that are told to the user in one line."""

    exit_code = 1


class CheckError(FlipcoreError):
    """A check failed: two things that must agree do not."""

    exit_code = 1


class InputError(FlipcoreError):
    """Input that cannot be used: names the field or file, the value and the rule."""

    exit_code = 2


class ToolError(FlipcoreError):
    """An external tool is missing: names the package that brings it."""

    exit_code = 3
