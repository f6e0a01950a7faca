"""A loop in pure Python with a branch: the 32-bit FNV-1a hash of a text's letters and digits. It is the interpreter that works."""


def fnv(text: str) -> int:
    state = 0x811C9DC5
    for byte in text.encode():
        if 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122:
            state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state
