"""How a value of the file is read: by one function of ours, which returns it or raises `wrong`.

pydantic's own `PlainValidator` means the same, and works out besides how the value would be written and
what arguments the function takes. Nobody writes documents, and with some two hundred readers that was a
tenth of every short command.
"""

from collections.abc import Callable

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Reader:
    """In an annotation: the value is what `read` makes of what YAML gave."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[object], object]) -> None:
        self.read = read

    def __get_pydantic_core_schema__(
        self,
        source: object,
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        """What pydantic asks of every annotation."""
        return core_schema.no_info_plain_validator_function(self.read)
