"""Where intents come from: a directory somebody edits, or a branch somebody pushes to.

Both are `ports.IntentSource`. A source reports what it finds and what keeps it from looking; whether the
files make sense is judged elsewhere, and none of its troubles ever changes what runs.
"""
