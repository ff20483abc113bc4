"""What is commonly wrong with models, datasets and installations, looked for before anything is measured."""
