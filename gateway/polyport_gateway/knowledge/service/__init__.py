"""The knowledge bases of a gateway: what wires and capabilities call.

* `plan`: what the operator's settings make of them.
* `registry`: the bases that there are.
* `searching`, `asking`: finding, and answering.
* `upkeep`: making, changing and dropping bases and their documents.
* `work`: the jobs that take documents in, and build anew.
* `service`: all of it together.
"""

from .plan import KnowledgePlan, make_plan
from .service import KnowledgeService

__all__ = ["KnowledgePlan", "KnowledgeService", "make_plan"]
