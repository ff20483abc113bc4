"""Work on the nodes of a Ray cluster. Nothing else imports this: what takes part in it is looked up by name."""
