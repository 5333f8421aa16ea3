"""What the application says."""


def greeting(name: str) -> str:
    return f"hello, {name}\n"
