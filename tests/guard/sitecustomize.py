"""Python imports this at its start, in every process that the tests start: there nothing may be unpickled."""

import no_unpickling

no_unpickling.forbid()
