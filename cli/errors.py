"""What a command raises when it cannot do its work."""


class CommandFailed(Exception):
    """The message is a sentence for the operator; the command ends with status 1."""
