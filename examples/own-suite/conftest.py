from kis_bench import encoders, lineup


def pytest_kis_models(config):
    return encoders.read_models(config.rootpath / "models.toml")


def pytest_kis_datasets(config):
    return lineup.read_datasets(config.rootpath / "datasets.toml")
