class MissingDependency(Exception):
    def __init__(self, package, *, needed_for): super().__init__(package)
