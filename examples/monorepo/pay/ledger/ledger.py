"""How other services book: the client of the ledger."""


def entry(account: str, cents: int) -> dict[str, object]:
    """What the ledger takes."""
    if not cents:
        raise ValueError("nothing to book")
    return {"account": account, "cents": cents}
