"""Words that say little or nothing: those that bind others, those that ask, and those that occur everywhere."""

from __future__ import annotations

import re

__all__ = ["ASKED_CHINESE", "BINDING", "BINDING_CHINESE", "COMMON", "GENERIC", "MODAL_CHINESE"]

_BINDING = (
    "a an the and or but nor so yet if then else than as at by for from in into of off on onto out over to up with "
    "within without about above across after against along among around before behind below beneath beside between "
    "beyond despite down during except inside near since through throughout till toward towards under until upon via "
    "i me my mine we us our ours you your yours he him his she her hers it its they them their theirs this that these "
    "those who whom whose what which when where why how is am are was were be been being do does did done doing have "
    "has had having can could may might must shall should will would not no never there here also too very just only "
    "such same both each either neither all any some more most much many few less least other another own again ever "
    "per etc eg ie mr mrs ms dr isn't aren't wasn't weren't don't doesn't didn't can't cannot won't wouldn't hasn't "
    "haven't hadn't shouldn't couldn't it's that's there's he's she's they're we're i'm you're according please tell "
    "s t d ll re ve m"
)
BINDING = frozenset(_BINDING.split())
_COMMON = (
    "one two first second last new old good great big large small long high low right left part kind type way thing "
    "things time times year years day days people person man men woman women world life place case point fact group "
    "number use used using uses make makes made making get gets got take takes took taken give gives gave given go "
    "goes went gone come comes came say says said see sees saw seen know known knows call called calls name named "
    "names become became becomes include includes included including show shows shown find found work works worked "
    "well now still however while although because therefore thus even often usually generally several various "
    "different important main major early late later next back around another like relate related relation "
    "describe described mention mentioned following example ones list explain term terms mean means meant"
)
COMMON = frozenset(_COMMON.split())
_GENERIC = (
    "river county city town village university lake mount mountain island street road company party association "
    "department state states school college institute church museum park north south east west northern southern "
    "eastern western new saint st king queen president national american international united republic district "
    "airport station group corporation inc ltd co society league council committee act war battle house court union "
    "central great royal general first second world mr mrs dr sir lord lady prince princess"
)
GENERIC = frozenset(_GENERIC.split())
"""Words that many names have: to share one of them is not to share the name."""
ASKED_CHINESE = re.compile(
    "什么时候|什麼時候|几点|幾點|几号|幾號|什么|什麼|哪些|哪个|哪個|哪里|哪裡|哪儿|哪年|哪一|哪|谁|誰|"
    "多少钱|多少錢|多少|多大|多长|多久|多高|几|幾|吗|嗎|呢|如何|怎么样|怎么办|怎麼辦|怎么|怎麼|怎样|怎樣|"
    "为何|為何|为什么|為什麼|是否|能否|请问|請問|请|告诉我|何时|何時|何地|何处|何人|"
    "有没有|是不是|介绍一下|介绍|简述|说明"
)
MODAL_CHINESE = re.compile("可不可以|能不能|要不要|用不用|会不会|應該|应该|可以|需要")
"""What a question asks for is whether, not this."""
BINDING_CHINESE = re.compile(
    "的|了|是|在|有|和|与|與|及|或|也|都|而|就|被|把|之|其|这|這|那|们|們|着|著|过|過|吗|呢|啊|吧|于|於|"
    "以|并|並|且|则|但|又|由|从|從|向|对|對|个|個|一"
)
