def run(console, quick):
    return {}
