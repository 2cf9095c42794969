"""Which worker runs which tests: those that drive a browser after one another, the other files beside them."""

from xdist.scheduler import LoadFileScheduling

_FOLDERS = ("tests/browser/", "tests/native/")


class BrowserLaneScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """As xdist's `loadfile`, but the files that drive browsers share one lane for each two workers.

    A call of three pages keeps two cores busy by itself; two such tests at once find out how patient each other is.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        if not file.startswith(_FOLDERS):
            return file
        lanes = max(1, self.numnodes // 2)
        return f"browsers {sum(file.encode()) % lanes}"
