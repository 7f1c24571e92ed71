"""A bad line. Called by `faults`."""


def line(options, peer):
    return {"skipped": "not written"}
