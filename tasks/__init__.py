"""What is generated from what: tasks, their data, and how text becomes token ids. `tasks.base` has the words."""

BUILTIN: dict[str, str] = {
    "oracle": "tasks.oracle:OracleTask",
    "poetry": "tasks.poetry:Poetry",
    "speech": "tasks.speech:Speech",
    "captions": "tasks.captions:Captions",
    "translation": "tasks.translation:Translation",
    "summarization": "tasks.summarization:Summarization",
    "dialogue": "tasks.dialogue:Dialogue",
}
