"""Short chat templates with the marks by which abilities are known."""

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
TOOLS = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}" + CHATML
THINK = TOOLS + "{% if enable_thinking is false %}<think>\n\n</think>{% endif %}"
R1 = "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}" + CHATML
SEES = TOOLS + "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
HARMONY = "<|start|>{{ m.role }}<|channel|>analysis<|message|>{% if tools %}namespace functions{% endif %}"
INST = "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"
