"""All the attacks, by theme."""

from __future__ import annotations

from .case import Attack
from .channel import CHANNEL
from .files import FILES
from .floods import FLOODS
from .grading import GRADING
from .host_secrets import HOST_SECRETS
from .isolation import ISOLATION
from .kernel import KERNEL
from .network import NETWORK
from .outputs import OUTPUTS
from .processes import PROCESSES
from .session_files import SESSION_FILES
from .sessions import SESSIONS

__all__ = ["ATTACKS", "THEMES"]

THEMES: dict[str, list[Attack]] = {
    "Floods": FLOODS,
    "Output": OUTPUTS,
    "Processes and the supervisor": PROCESSES,
    "The kernel": KERNEL,
    "The machine": HOST_SECRETS,
    "Files": FILES,
    "Sessions": SESSIONS,
    "A session's folder": SESSION_FILES,
    "From one run to the next": ISOLATION,
    "The tools": CHANNEL,
    "The network": NETWORK,
    "Grading": GRADING,
}
ATTACKS = [attack for attacks in THEMES.values() for attack in attacks]
