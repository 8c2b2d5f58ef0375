"""Text analysis in this process, without a time limit: for tests and small programs."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

from domain.errors import AnalysisFailed

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class InProcessAnalysis:
    """A TextAnalysis in a thread of this process."""

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        try:
            return await asyncio.to_thread(partial(function, *args, **kwargs))
        except Exception as error:
            raise AnalysisFailed(f"The analysis failed: {type(error).__name__}") from error


IN_PROCESS: Final = InProcessAnalysis()
