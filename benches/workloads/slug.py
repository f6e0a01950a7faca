"""A few string methods on a title of some 40 characters."""


def slug(title: str) -> str:
    return title.strip().lower().replace("'", "").replace(" ", "-")
