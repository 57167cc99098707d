"""How good search and answers are: questions with what is right, asked of any configuration, and two side by side.

It knows no knowledge base: what it is given to ask is a coroutine that searches, and one that answers.
"""

from .gold import Gold
from .questions import Question, read_questions, read_questions_text
from .report import Table, changed_table, compared, comparison_table, details_table, report_table
from .run import Ask, Progress, Search, evaluate

__all__ = [
    "Ask",
    "Gold",
    "Progress",
    "Question",
    "Search",
    "Table",
    "changed_table",
    "compared",
    "comparison_table",
    "details_table",
    "evaluate",
    "read_questions",
    "read_questions_text",
    "report_table",
]
